"""Words of Wikipedia's own mark-up in its languages: sections, templates, titles, namespaces.

The languages are those of the largest Wikipedias by articles (and Bulgarian); English is accepted
in all of them, as MediaWiki itself accepts it. Sources: the wikis' manuals of style for the
sections that close an article; the templates listed on each wiki's page
`MediaWiki:Disambiguationspage`, and the title endings of DBpedia's extraction framework
(`DisambiguationExtractorConfig`); namespaces and redirect words: MediaWiki's `MessagesXx.php`.
"""

from __future__ import annotations

# Sections without prose at the end of an article. Compared in lower case.
SECTIONS: dict[str, frozenset[str]] = {
    "en": frozenset(
        {
            "references", "reference", "notes", "footnotes", "endnotes", "citations", "sources",
            "notes and references", "references and notes", "references and sources",
            "notes and citations", "references and further reading", "works cited",
            "bibliography", "selected bibliography", "literature", "external links",
            "external link", "external links and references", "references and external links",
            "see also", "related pages", "further reading", "gallery", "other websites",
        }
    ),
    "de": frozenset(
        {
            "einzelnachweise", "weblinks", "literatur", "siehe auch", "anmerkungen", "quellen",
            "fußnoten", "belege", "anmerkungen und einzelnachweise", "galerie",
        }
    ),
    "fr": frozenset(
        {
            "notes et références", "références", "liens externes", "lien externe", "voir aussi",
            "bibliographie", "articles connexes", "article connexe", "annexes", "notes", "sources",
            "sources et références", "galerie",
        }
    ),
    "es": frozenset(
        {
            "referencias", "enlaces externos", "véase también", "bibliografía", "notas",
            "notas y referencias", "fuentes", "galería", "lecturas adicionales",
        }
    ),
    "it": frozenset(
        {
            "note", "collegamenti esterni", "voci correlate", "bibliografia", "altri progetti",
            "fonti", "galleria d'immagini",
        }
    ),
    "pt": frozenset(
        {
            "referências", "ligações externas", "ver também", "bibliografia", "notas",
            "notas e referências", "leitura adicional", "galeria",
        }
    ),
    "nl": frozenset({"bronnen", "externe links", "externe link", "zie ook", "literatuur",
                     "referenties", "voetnoten", "noten", "galerij"}),
    "pl": frozenset({"przypisy", "linki zewnętrzne", "zobacz też", "bibliografia", "uwagi",
                     "literatura", "galeria"}),
    "sv": frozenset({"referenser", "externa länkar", "se även", "källor", "noter", "litteratur",
                     "fotnoter", "bildgalleri", "vidare läsning"}),
    "ru": frozenset({"примечания", "ссылки", "литература", "см. также", "источники", "сноски",
                     "комментарии", "галерея"}),
    "uk": frozenset({"примітки", "посилання", "література", "див. також", "джерела", "виноски",
                     "галерея"}),
    "bg": frozenset({"източници", "външни препратки", "вижте също", "бележки", "литература",
                     "бележки и източници", "галерия", "препратки"}),
    "ja": frozenset({"脚注", "注釈", "出典", "参考文献", "外部リンク", "関連項目", "関連文献",
                     "注釈・出典", "脚注・出典", "ギャラリー"}),
    "zh": frozenset({"参考文献", "參考文獻", "外部链接", "外部連結", "参见", "參見", "注释", "註釋",
                     "参考资料", "參考資料", "相关条目", "相關條目", "延伸阅读", "延伸閱讀", "脚注",
                     "腳註", "备注", "備註", "图集", "圖集"}),
    "vi": frozenset({"tham khảo", "liên kết ngoài", "xem thêm", "chú thích", "ghi chú",
                     "thư mục", "nguồn", "đọc thêm", "thư viện ảnh"}),
    "ar": frozenset({"مراجع", "المراجع", "وصلات خارجية", "روابط خارجية", "انظر أيضا", "انظر أيضًا",
                     "طالع أيضا", "ملاحظات", "مصادر", "هوامش", "معرض صور"}),
}  # fmt: skip

# Templates that mark a disambiguation page, in lower case.
DISAMBIGUATION_TEMPLATES = frozenset(
    {
        # English, and redirects to English names on most wikis
        "disambiguation", "disambig", "disamb", "dab", "dab page", "disambiguation page",
        "disambiguation cleanup", "hndis", "hndis-cleanup", "human name disambiguation",
        "geodis", "place name disambiguation", "numberdis", "roaddis", "road disambiguation",
        "schooldis", "school disambiguation", "letter-number combination disambiguation",
        "letter-numbercombdisambig", "mathdab", "mathematical disambiguation", "airport dis",
        "airport disambiguation", "biology disambiguation", "call sign disambiguation",
        "callsigndis", "chinese title disambiguation", "church disambiguation", "genus dab",
        "genus disambiguation", "hospital disambiguation", "hospitaldis", "mil-unit-dis",
        "military unit disambiguation", "music disambiguation", "opus disambiguation",
        "phonetics disambiguation", "portal disambiguation", "species latin name disambiguation",
        "species latin name abbreviation disambiguation", "station disambiguation",
        "synagogue disambiguation", "taxonomic authority disambiguation",
        "taxonomy disambiguation", "title disambiguation",
        # German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish
        "begriffsklärung", "homonymie", "homonymes", "page d'homonymie", "paronymie",
        "desambiguación", "desambig", "disambigua", "desambiguação", "dp", "dpintro",
        "doorverwijspagina", "ujednoznacznienie", "förgrening", "gren", "robotskapad förgrening",
        # Russian, Ukrainian, Bulgarian
        "неоднозначность", "многозначность", "неоднозначність", "пояснение", "пояснителна страница",
        # Japanese, Chinese, Vietnamese, Arabic, Persian
        "aimai", "曖昧さ回避", "人名の曖昧さ回避", "地名の曖昧さ回避", "消歧义", "消歧義",
        "消歧义页", "消歧義頁",
        "định hướng", "trang định hướng", "توضيح", "ابهام‌زدایی", "ابهام زدایی",
    }
)  # fmt: skip

# What a disambiguation page has in brackets at the end of its title, in lower case.
DISAMBIGUATION_TITLES = frozenset(
    {
        "disambiguation", "begriffsklärung", "homonymie", "desambiguación", "disambigua",
        "desambiguação", "doorverwijspagina", "ujednoznacznienie", "olika betydelser", "значения",
        "значення", "пояснение", "曖昧さ回避", "消歧义", "消歧義",
        "định hướng", "توضيح", "ابهام‌زدایی",
    }
)  # fmt: skip

# First word of a redirect, in lower case (dumps since 2010 mark redirects by an element as well).
REDIRECTS = frozenset(
    {
        "#redirect", "#weiterleitung", "#redirection", "#redirección", "#redireccion", "#rinvia",
        "#rinvio", "#redirecionamento", "#doorverwijzing", "#patrz", "#przekieruj", "#tam",
        "#omdirigering", "#перенаправление", "#перенапр", "#перенаправлення", "#виж", "#転送",
        "#リダイレクト", "#重定向", "#đổi", "#تحويل",
    }
)  # fmt: skip

# Namespaces whose links show a picture or sort the page, in lower case.
UNSHOWN_NAMESPACES = frozenset(
    {
        "file", "image", "media", "category",
        "datei", "bild", "kategorie", "fichier", "catégorie", "archivo", "imagen", "categoría",
        "immagine", "categoria", "ficheiro", "imagem", "bestand", "afbeelding", "plik", "grafika",
        "kategoria", "fil", "kategori", "файл", "изображение", "категория", "зображення",
        "категорія", "картинка", "ファイル", "画像", "カテゴリ", "文件", "档案", "檔案",
        "图像", "圖像", "分类", "分類", "tập tin", "hình",
        "thể loại", "ملف", "صورة", "تصنيف", "پرونده", "رده",
    }
)  # fmt: skip

# Prefixes of sister projects; a link to one shows its own text or the title without the prefix.
SISTER_PROJECTS = frozenset(
    {
        "w", "wikipedia", "wikt", "wiktionary", "s", "wikisource", "q", "wikiquote", "b",
        "wikibooks", "n", "wikinews", "v", "wikiversity", "voy", "wikivoyage", "d", "wikidata",
        "c", "commons", "m", "meta", "mw", "species", "wikispecies",
    }
)  # fmt: skip
