"""Sentences in other languages, for the pages that a language filter has to find.

Written for this project. Each language has nine sentences of the same small stories; `{place}` and
`{number}` are filled in and the order is drawn for each page, so that pages differ.
"""

from __future__ import annotations

from random import Random

PLACES = ("Arlen", "Borvik", "Castello", "Dornau", "Esteva", "Fallow", "Grenna", "Halmar")

SENTENCES: dict[str, tuple[str, ...]] = {
    "de": (
        "In {place} wird seit vielen Jahren am Samstag ein kleiner Markt abgehalten.",
        "Die Bibliothek hat {number} neue Bücher gekauft und sucht noch freiwillige Helfer.",
        "Am Abend zog ein Gewitter über die Felder, und der Bach trat über das Ufer.",
        "Der Bäcker öffnet schon um fünf Uhr, weil die ersten Züge früh abfahren.",
        "Wer die alte Mühle besichtigen möchte, meldet sich bitte vorher im Rathaus an.",
        "Im letzten Sommer haben {number} Kinder das Schwimmen im See gelernt.",
        "Die Straße nach {place} bleibt bis zum Frühling wegen Bauarbeiten gesperrt.",
        "Meine Großmutter erzählte oft, wie man früher das Heu mit der Hand einbrachte.",
        "Der Verein dankt allen Nachbarn, die beim Aufräumen geholfen haben.",
    ),
    "fr": (
        "Le marché de {place} a lieu chaque samedi sur la place devant l'église.",
        "La bibliothèque vient d'acheter {number} livres et cherche encore des bénévoles.",
        "Dans la soirée, un orage a traversé la vallée et la rivière a débordé.",
        "Le boulanger ouvre dès cinq heures, parce que les premiers trains partent tôt.",
        "Pour visiter le vieux moulin, il faut s'inscrire à la mairie quelques jours avant.",
        "L'été dernier, {number} enfants ont appris à nager dans le lac.",
        "La route de {place} reste fermée jusqu'au printemps à cause des travaux.",
        "Ma grand-mère racontait souvent comment on rentrait le foin à la main.",
        "L'association remercie tous les voisins qui ont aidé à ranger la salle.",
    ),
    "es": (
        "El mercado de {place} se celebra todos los sábados en la plaza mayor.",
        "La biblioteca ha comprado {number} libros nuevos y todavía busca voluntarios.",
        "Por la tarde una tormenta cruzó el valle y el río se salió de su cauce.",
        "El panadero abre a las cinco porque los primeros trenes salen temprano.",
        "Quien quiera visitar el viejo molino debe avisar antes en el ayuntamiento.",
        "El verano pasado {number} niños aprendieron a nadar en el lago.",
        "La carretera de {place} seguirá cerrada hasta la primavera por las obras.",
        "Mi abuela contaba a menudo cómo se recogía el heno con las manos.",
        "La asociación agradece a todos los vecinos que ayudaron a limpiar la sala.",
    ),
    "pt": (
        "A feira de {place} acontece todos os sábados na praça em frente à igreja.",
        "A biblioteca comprou {number} livros novos e ainda procura voluntários.",
        "À noite uma tempestade atravessou o vale e o rio saiu do leito.",
        "O padeiro abre às cinco horas porque os primeiros comboios partem cedo.",
        "Quem quiser visitar o velho moinho deve avisar antes na câmara municipal.",
        "No verão passado {number} crianças aprenderam a nadar no lago.",
        "A estrada para {place} fica fechada até à primavera por causa das obras.",
        "A minha avó contava muitas vezes como se apanhava o feno com as mãos.",
        "A associação agradece a todos os vizinhos que ajudaram a arrumar a sala.",
    ),
    "it": (
        "Il mercato di {place} si tiene ogni sabato nella piazza davanti alla chiesa.",
        "La biblioteca ha comprato {number} libri nuovi e cerca ancora dei volontari.",
        "In serata un temporale ha attraversato la valle e il torrente è straripato.",
        "Il fornaio apre già alle cinque, perché i primi treni partono presto.",
        "Chi desidera visitare il vecchio mulino deve avvisare prima il municipio.",
        "L'estate scorsa {number} bambini hanno imparato a nuotare nel lago.",
        "La strada per {place} resta chiusa fino alla primavera a causa dei lavori.",
        "Mia nonna raccontava spesso come si raccoglieva il fieno con le mani.",
        "L'associazione ringrazia tutti i vicini che hanno aiutato a riordinare la sala.",
    ),
    "nl": (
        "In {place} is er al jaren elke zaterdag een kleine markt op het plein.",
        "De bibliotheek heeft {number} nieuwe boeken gekocht en zoekt nog vrijwilligers.",
        "Tegen de avond trok er een onweer over de velden en liep de beek over.",
        "De bakker gaat al om vijf uur open, omdat de eerste treinen vroeg vertrekken.",
        "Wie de oude molen wil bezoeken, moet zich eerst bij het gemeentehuis melden.",
        "Vorige zomer hebben {number} kinderen leren zwemmen in het meer.",
        "De weg naar {place} blijft tot het voorjaar gesloten wegens werkzaamheden.",
        "Mijn grootmoeder vertelde vaak hoe men het hooi vroeger met de hand binnenhaalde.",
        "De vereniging bedankt alle buren die geholpen hebben met opruimen.",
    ),
    "pl": (
        "W miejscowości {place} co sobotę odbywa się niewielki targ na rynku.",
        "Biblioteka kupiła {number} nowych książek i nadal szuka wolontariuszy.",
        "Wieczorem nad doliną przeszła burza, a rzeka wystąpiła z brzegów.",
        "Piekarz otwiera już o piątej, ponieważ pierwsze pociągi odjeżdżają wcześnie.",
        "Kto chce zwiedzić stary młyn, powinien wcześniej zgłosić się do urzędu.",
        "Zeszłego lata {number} dzieci nauczyło się pływać w jeziorze.",
        "Droga do miejscowości {place} będzie zamknięta do wiosny z powodu robót.",
        "Moja babcia często opowiadała, jak dawniej zbierano siano ręcznie.",
        "Stowarzyszenie dziękuje wszystkim sąsiadom, którzy pomogli w sprzątaniu.",
    ),
    "ru": (
        "В городке {place} каждую субботу на площади проходит небольшой рынок.",
        "Библиотека купила {number} новых книг и всё ещё ищет добровольцев.",
        "Вечером над долиной прошла гроза, и река вышла из берегов.",
        "Пекарь открывает лавку уже в пять часов, потому что первые поезда уходят рано.",
        "Кто хочет осмотреть старую мельницу, должен заранее записаться в управе.",
        "Прошлым летом {number} детей научились плавать в озере.",
        "Дорога до городка {place} останется закрытой до весны из-за ремонта.",
        "Моя бабушка часто рассказывала, как раньше сено убирали руками.",
        "Общество благодарит всех соседей, которые помогли навести порядок.",
    ),
    "ja": (
        "{place}では毎週土曜日に広場で小さな市場が開かれます。",
        "図書館は新しい本を{number}冊買い、今も手伝ってくれる人を探しています。",
        "夕方に雷雨が谷を通り過ぎ、川の水があふれました。",
        "始発の列車が早いので、パン屋は朝五時に店を開けます。",
        "古い水車を見学したい方は、前もって役場に申し込んでください。",
        "去年の夏には{number}人の子どもが湖で泳ぎを覚えました。",
        "{place}へ行く道は工事のため春まで通れません。",
        "祖母は昔どのように手で干し草を集めたかをよく話してくれました。",
        "片付けを手伝ってくださった近所の皆さんに感謝いたします。",
    ),
}


def paragraphs(language: str, random: Random) -> list[str]:
    """Return three paragraphs of three sentences each, in an order of their own."""
    sentences = [
        sentence.format(place=random.choice(PLACES), number=random.randint(12, 480))
        for sentence in random.sample(SENTENCES[language], len(SENTENCES[language]))
    ]
    space = "" if language == "ja" else " "
    return [space.join(sentences[start : start + 3]) for start in range(0, len(sentences), 3)]
