"""Settings: the scalars of YAML 1.2, and every error at once with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Discriminator, Field, Tag

from corpus.errors import RecipeError
from corpus.settings import Settings, apply_overrides, load_settings, parse_yaml, plain


class Small(Settings):
    width: int = 1
    share: Annotated[float, Field(ge=0, le=1)] = 0.5


class Large(Settings):
    height: int


def _size(value: Any) -> str:
    return "<large>" if isinstance(value, dict) and "height" in value else "<small>"


class Root(Settings):
    """One of each: a model, a map of models, a list of models, a union, a plain map."""

    name: str = ""
    number: float = 0.0
    count: int = 0
    flag: bool = False
    one: Small = Small()
    by_name: dict[str, Small] = Field(default_factory=dict)
    many: tuple[Small, ...] = ()
    either: (
        Annotated[
            Annotated[Small, Tag("<small>")] | Annotated[Large, Tag("<large>")],
            Discriminator(_size),
        ]
        | None
    ) = None
    shares: dict[str, float] = Field(default_factory=dict)


def load(folder: Path, text: str | bytes, *overrides: str) -> Root:
    path = folder / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_settings(Root, str(path), overrides)


def problems(folder: Path, text: str | bytes, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "")


def scalar(text: str) -> Any:
    return parse_yaml(f"key: {text}", "r.yaml")[0]["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("off", "off"),
        ("yes", "yes"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1e9", 1e9),
        ("3e-3", 3e-3),
        (".5", 0.5),
        ("-1.5E+2", -150.0),
        ("300_000_000_000", 300_000_000_000),
        ("1_000.5", 1000.5),
        ("0x1F", 31),
        ("012", 12),
        ("1:30", "1:30"),
        ("2026-11-23", "2026-11-23"),
        ("CC-MAIN-2026-47", "CC-MAIN-2026-47"),
        ("1.2.3", "1.2.3"),
        ("'12'", "12"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_scalar_is_read_by_yaml_1_2(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_whole_number_in_exponent_form_is_an_integer(tmp_path: Path) -> None:
    root = load(tmp_path, "count: 1e9\nnumber: 300_000\nname: no\n")
    assert (root.count, root.number, root.name) == (1_000_000_000, 300_000.0, "no")


def test_word_that_yaml_1_1_takes_for_false_is_refused_as_a_flag_or_read_as_one(
    tmp_path: Path,
) -> None:
    """`off` is a word; where a flag is wanted pydantic reads it as one, and never as a number."""
    assert load(tmp_path, "flag: off\n").flag is False
    assert "count" in problems(tmp_path, "count: off\n")


@pytest.mark.parametrize("text", [".inf", "-.inf", ".INF", ".Inf", "1e999"])
def test_number_without_an_end_is_refused(tmp_path: Path, text: str) -> None:
    assert "number: " in problems(tmp_path, f"number: {text}\n")
    assert "number: " in problems(tmp_path, "name: a\n", f"number={text}")


def test_key_given_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    found = problems(tmp_path, "name: a\none:\n  width: 1\n  share: 1\n  width: 2\nname: b\n")
    assert "line 5: one.width: given twice (line 3)" in found
    assert "line 6: name: given twice (line 1)" in found


def test_key_given_twice_in_a_list_is_refused(tmp_path: Path) -> None:
    found = problems(tmp_path, "many:\n  - {width: 1, width: 2}\n")
    assert "line 2: many.0.width: given twice (line 2)" in found


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("nmae: a\n", "r.yaml:1: nmae: there is no such key; did you mean name?"),
        ("one:\n  widht: 1\n", "r.yaml:2: one.widht: there is no such key; did you mean width?"),
        (
            "by_name:\n  a: {}\n  b:\n    shair: 1\n",
            "r.yaml:4: by_name.b.shair: there is no such key; did you mean share?",
        ),
        (
            "many:\n  - {}\n  - {wdth: 1}\n",
            "r.yaml:3: many.1.wdth: there is no such key; did you mean width?",
        ),
        (
            "either:\n  height: 1\n  hieght: 2\n",
            "r.yaml:3: either.hieght: there is no such key; did you mean height?",
        ),
        ("one:\n  zzzz: 1\n", "r.yaml:2: one.zzzz: there is no such key; known here: share, width"),
        # A source may be called what pydantic would call a class.
        (
            "by_name:\n  Small:\n    shair: 1\n",
            "r.yaml:3: by_name.Small.shair: there is no such key; did you mean share?",
        ),
    ],
)
def test_unknown_key_names_its_place_and_the_nearest_known_key(
    tmp_path: Path, text: str, place: str
) -> None:
    assert place in problems(tmp_path, text)


def test_all_problems_are_reported_at_once_each_with_its_line(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "count: many\none:\n  share: 2\nby_name:\n  a: {width: x}\neither: {height: none}\nx: 1\n",
    )
    assert "there are 5 problems" in found
    lines = [line.split(" ")[0:2] for line in found.splitlines()[1:]]
    assert [" ".join(line) for line in lines] == [
        "r.yaml:1: count:",
        "r.yaml:3: one.share:",
        "r.yaml:5: by_name.a.width:",
        "r.yaml:6: either.height:",
        "r.yaml:7: x:",
    ]
    assert "(given: 'many')" in found
    assert "(given: 2)" in found


def test_missing_key_is_placed_at_the_section_that_lacks_it(tmp_path: Path) -> None:
    class Needs(Settings):
        deep: Large
        high: int

    (tmp_path / "r.yaml").write_text("# a comment\n\ndeep: {}\n")
    with pytest.raises(RecipeError) as caught:
        load_settings(Needs, str(tmp_path / "r.yaml"), ())
    found = str(caught.value).replace(f"{tmp_path}/", "")
    assert "r.yaml:3: deep.height: has to be given" in found
    assert "r.yaml:3: high: has to be given" in found


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "- a\n- b\n", "word\n", "---\n", "null\n"]
)
def test_file_without_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    assert "empty or not a mapping" in problems(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1, 2\nb: 3\n", "r.yaml:2: this is not valid YAML"),
        ("a: b: c\n", "r.yaml:1: this is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system [echo]\n", "not valid YAML"),
        ("a: !!int x\n", "not valid YAML"),
        ("a: !!timestamp x\n", "not valid YAML"),
        ("? [a, b]\n: 1\n", "not valid YAML"),
        ("a: \x07\n", "not valid YAML"),
        ("a: *nowhere\n", "not valid YAML"),
        ("many: &a [*a]\n", "not valid YAML"),
        ("a: " + "[" * 1500 + "]" * 1500 + "\n", "not valid YAML"),
        ("count: " + "9" * 5000 + "\n", "not valid YAML"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    assert place in problems(tmp_path, text)


def test_key_that_is_a_number_is_refused_and_not_a_crash(tmp_path: Path) -> None:
    assert "line 1: 1: a key has to be text" in problems(tmp_path, "1: a\n")
    found = problems(tmp_path, "by_name:\n  a: {}\n  2020: {}\n")
    assert "line 3: by_name.2020: a key has to be text; write it in quotes" in found
    assert set(load(tmp_path, "by_name: {'2020': {}, no: {}}\n").by_name) == {"2020", "no"}


def test_few_lines_that_stand_for_billions_of_keys_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, 12):
        inner = ", ".join(f"k{i}: *a{level - 1}" for i in range(10))
        lines.append(f"a{level}: &a{level} {{{inner}}}")
    assert "more than 100,000 keys" in problems(tmp_path, "\n".join(lines))


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    assert "the file is not UTF-8" in problems(tmp_path, b"name: caf\xe9\n")


def test_utf8_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbfname: a\n").name == "a"


@pytest.mark.parametrize("path", ["nowhere.yaml", "."])
def test_file_that_cannot_be_read_is_an_error_of_the_command_line(
    tmp_path: Path, path: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        load_settings(Root, str(tmp_path / path), ())
    assert caught.value.exit_code == 2
    assert "in the recipe" not in str(caught.value)


def test_overrides_are_yaml_and_make_the_sections_they_need(tmp_path: Path) -> None:
    root = load(
        tmp_path,
        "name: a\ncount: 1\none:\n",
        "count=1_000",
        "one.width=7",
        "by_name.new.share=0.25",
        "either={height: 3}",
        "name=a=b",
        "shares={no: 1}",
    )
    assert (root.count, root.one.width, root.by_name["new"].share) == (1000, 7, 0.25)
    assert isinstance(root.either, Large)
    assert (root.name, root.shares) == ("a=b", {"no": 1.0})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("count", "'count' is not key=value"),
        ("=1", "'=1' is not key=value"),
        (".=1", "'.=1' is not key=value"),
        ("one..width=1", "'one..width=1' is not key=value"),
        ("", "is not key=value"),
        ("name.first=1", "--set name.first: name is not a mapping of keys"),
        ("many.0.width.unit=1", "--set many.0.width.unit: many.0.width is not a mapping of keys"),
        ("count=[1", "--set count"),
        ("count=" + "9" * 5000, "--set count"),
        ("count=" + "[" * 1500, "--set count"),
        ("count={a: 1, a: 2}", "--set count"),
        ("one.widht=1", "one.widht: there is no such key; did you mean width?"),
        ("new.key=1", "new: there is no such key"),
    ],
)
def test_override_that_is_wrong_is_refused(tmp_path: Path, override: str, message: str) -> None:
    assert message in problems(tmp_path, "name: a\nmany: [{width: 3}]\n", override)


def test_override_reaches_into_lists(tmp_path: Path) -> None:
    text = "name: a\nmany:\n- {width: 1, share: 0.1}\n- {width: 2}\n"
    root = load(tmp_path, text, "many.0.width=5", "many.1={share: 0.2}", "many.1.width=7")
    assert root.many == (Small(width=5, share=0.1), Small(width=7, share=0.2))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("many.2.width=1", "many is a list of 2 items, and '2' is none of them"),
        ("many.2=1", "Write a number from 0 to 1, or set the whole list: --set many=[...]"),
        ("many.-1.width=1", "many is a list of 2 items, and '-1' is none of them"),
        ("many.first.width=1", "many is a list of 2 items, and 'first' is none of them"),
        ("many." + "9" * 5000 + "=1", "many is a list of 2 items"),
        ("inner.list.0.1=2", "inner.list.0 is a list of 1 item, and '1' is none of them. Write 0,"),
        ("none.0=1", "none is a list of 0 items, and '0' is none of them. Set the whole list"),
        ("many.0.width=no", "--set: many.0.width: input should be a valid integer"),
    ],
)
def test_override_of_a_list_that_is_wrong_says_what_is_there(
    tmp_path: Path, override: str, message: str
) -> None:
    text = "name: a\nmany: [{width: 3}, {}]\ninner: {list: [[1]]}\nnone: []\n"
    assert message in problems(tmp_path, text, override)


def test_override_changes_the_named_place_alone_where_two_share_a_value(tmp_path: Path) -> None:
    text = "by_name: {a: &one {width: 3}, b: *one}\nmany: [*one, *one]\n"
    root = load(tmp_path, text, "by_name.a.width=4", "many.1.width=5")
    assert {name: small.width for name, small in root.by_name.items()} == {"a": 4, "b": 3}
    assert [small.width for small in root.many] == [3, 5]


def test_override_that_is_wrong_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    found = problems(tmp_path, "name: a\ncount: 1\n", "count=many", "one.share=3")
    assert "--set: count: " in found
    assert "--set: one.share: " in found
    assert "r.yaml:2" not in found


def test_overrides_apply_in_order() -> None:
    value: dict[str, Any] = {}
    apply_overrides(value, ["a=1", "a={b: 2}", "a.c=3"])
    assert value == {"a": {"b": 2, "c": 3}}


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Small().width = 2


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "integer"),
        (str | None, "text or null"),
        (tuple[str, ...], "list of text"),
        (dict[str, float], "map of text to number"),
        (Literal["a", "b"], "`a` or `b`"),
        (Annotated[int, Field(ge=1)], "integer"),
        (Small, "Small"),
    ],
)
def test_type_is_named_as_a_person_reads_it(annotation: Any, text: str) -> None:
    assert plain(annotation) == text


class Optional(Settings):
    most: int | None = None
    either: bool | str = False


@pytest.mark.parametrize("line", ["number: true", "count: false", "name: true"])
def test_true_is_no_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.yaml").write_text(f"{line}\n")
    with pytest.raises(RecipeError, match="is neither a number nor text"):
        load_settings(Root, str(tmp_path / "a.yaml"), [])


def test_true_is_taken_where_it_may_stand() -> None:
    assert Root.model_validate({"flag": True}).flag is True
    assert Optional.model_validate({"either": True}).either is True
    with pytest.raises(ValueError, match="neither a number nor text"):
        Optional.model_validate({"most": True})


class Branch(Settings):
    leaves: int = 3
    bark: str = "smooth"


class Twig(Settings):
    length: int


class Tree(Settings):
    branch: Branch | None = None
    twig: Twig | None = None
    twigs: dict[str, Twig] | None = None
    names: tuple[str, ...] = ()
    heights: dict[str, float] | None = None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "branch: true",
            "branch: keys belong here, of bark, leaves; {} takes their defaults (given: true)",
        ),
        ("branch: 7", "branch: keys belong here, of bark, leaves; {} takes their defaults"),
        ("branch: oak", "branch: keys belong here, of bark, leaves; {} takes their defaults"),
        ("twig: false", "twig: keys belong here, of length (given: false)"),
        ("twigs: {a: 5}", "twigs.a: keys belong here, of length (given: 5)"),
        ("twigs: 3", "twigs: a mapping belongs here, `{name: value}` (given: 3)"),
        ("heights: [1]", "heights: a mapping belongs here, `{name: value}`"),
        ("names: 3", "names: a list belongs here, `[one, another]` (given: 3)"),
    ],
)
def test_value_of_another_kind_is_told_what_belongs_there(
    tmp_path: Path, line: str, told: str
) -> None:
    (tmp_path / "a.yaml").write_text(f"{line}\n")
    with pytest.raises(RecipeError) as caught:
        load_settings(Tree, str(tmp_path / "a.yaml"), [])
    assert told in caught.value.what
