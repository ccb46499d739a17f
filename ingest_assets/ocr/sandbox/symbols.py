"""Fonts whose letters are signs: what `Symbol` and `Wingdings` show for a code.

Source: the fonts' encodings as Adobe (Symbol) and Unicode's mapping of Wingdings publish them.
"""

from __future__ import annotations

_SYMBOL = {
    0x20: " !∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_",
    0x60: "‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
    0xA0: "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪",
    0xF1: "〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
}
_WINGDINGS = {
    0x21: "✏✂✁👓🔔📖🕯🕿✆🖂🖃📪📫📬📭📁📂📄🗏🗐🗄⌛🖮🖰🖲🖳🖴🖫🖬✇✍🖎✌👌👍👎☜☞☝☟🖐☺😐☹💣☠🏳🏱✈☼💧❄🕆✞🕈✠✡☪☯ॐ☸♈♉",
    0x6C: "●❍■□",
    0x71: "❑❒⬧⧫◆❖⬥⌧⮹⌘",
    0x80: "⓪①②③④⑤⑥⑦⑧⑨⑩⓿❶❷❸❹❺❻❼❽❾❿",
    0x9E: "·•▪",
    0xA1: "○",
    0xA7: "▪◻",
    0xD8: "➢",
    0xDF: "←→↑↓↖↗↙↘",
    0xE0: "→↑↓↖↗↙↘",
    0xE8: "➔",
    0xF0: "⇨",
    0xFB: "✗✓☒☑",
}
_WINGDINGS_2 = {0x4F: "✕✓✗✓", 0x50: "✓", 0x51: "☒☑☒", 0x52: "☑☒", 0xA3: "□", 0x95: "•"}
_FONTS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2}
_TABLES = {
    font: {first + index: sign for first, signs in ranges.items() for index, sign in enumerate(signs)}
    for font, ranges in _FONTS.items()
}
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def is_of_signs(font: str) -> bool:
    """Tell whether a font's letters are signs."""
    return font.casefold() in _TABLES or font.casefold().startswith(("wingdings", "webdings"))


def signs(font: str, text: str) -> str:
    """Return what a font of signs shows for a text, in which spaces and other scripts stay."""
    return "".join(
        sign(font, ord(letter)) if "!" <= letter <= "~" or "\uf000" <= letter <= "\uf0ff" else letter
        for letter in text
    )


def sign(font: str, code: int) -> str:
    """Return what a font shows for a code, which may lie in the private area (0xF000 and on)."""
    table = _TABLES.get(font.casefold())
    if table is None and not is_of_signs(font):
        return chr(code) if not 0xF000 <= code <= 0xF0FF else chr(code - 0xF000)
    return (table or {}).get(code & 0xFF, _UNKNOWN)
