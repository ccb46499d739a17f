"""Pages of text in languages and scripts of the world, drawn with fonts that the tests install."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import manimgx_fonts
import manimgx_fonts_cjk
from PIL import Image, ImageDraw, ImageFont

_FONTS = Path(manimgx_fonts.__file__).parent
_CJK = Path(manimgx_fonts_cjk.__file__).parent / "NotoSansCJK-VF.otf.ttc"

_WIDTH, _MARGIN = 1650, 120


class Sample(NamedTuple):
    """A text, and the font that has its letters: a file, and the number of the font in it."""

    text: str
    font: str
    number: int = 0


SAMPLES = {
    "German": Sample(
        "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und "
        "Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen. Änderungen des "
        "Vertrages bedürfen der Schriftform; für Schäden haftet der Mieter nicht.",
        "NotoSans[wght].ttf",
    ),
    "French": Sample(
        "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de "
        "raison et de conscience et doivent agir les uns envers les autres dans un esprit de "
        "fraternité. Le loyer est payé le premier jour de chaque mois.",
        "NotoSans[wght].ttf",
    ),
    "Greek": Sample(
        "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι "
        "προικισμένοι με λογική και συνείδηση, και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα "
        "αδελφοσύνης.",
        "NotoSans[wght].ttf",
    ),
    "Cyrillic": Sample(
        "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и "
        "совестью и должны поступать в отношении друг друга в духе братства.",
        "NotoSans[wght].ttf",
    ),
    "Hebrew": Sample(
        "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון, לפיכך חובה "
        "עליהם לנהוג איש ברעהו ברוח של אחווה.",
        "NotoSansHebrew[wght].ttf",
    ),
    "Devanagari": Sample(
        "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता "
        "प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की "
        "देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।",
        "NotoSansDevanagari[wght].ttf",
    ),
    "Han": Sample(
        "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。承租人应于每月第一日支付"
        "租金；出租人应使房屋保持良好状态，并为其投保火险。",
        "CJK",
        2,
    ),
    "Japanese": Sample(
        "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられて"
        "おり、互いに同胞の精神をもって行動しなければならない。",
        "CJK",
    ),
    "Korean": Sample(
        "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. "
        "인간은 천부적으로 이성과 양심을 부여받았으며 "
        "서로 형제애의 정신으로 행동하여야 한다.",
        "CJK",
        1,
    ),
}


def drawn(sample: Sample, size: int = 42) -> Image.Image:
    """Return a page of a text at 200 dpi; `size` is that of its letters in pixels."""
    path = _CJK if sample.font == "CJK" else _FONTS / sample.font
    font = ImageFont.truetype(str(path), size, index=sample.number)
    font.set_variation_by_axes([400])
    separator = " " if " " in sample.text else ""
    lines = [""]
    for part in sample.text.split(separator) if separator else sample.text:
        line = f"{lines[-1]}{separator}{part}" if lines[-1] else part
        if font.getlength(line) > _WIDTH - 2 * _MARGIN:
            lines.append(part)
        else:
            lines[-1] = line
    pitch = round(1.6 * size)
    image = Image.new("L", (_WIDTH, 2 * _MARGIN + pitch * len(lines)), 255)
    draw = ImageDraw.Draw(image)
    leftwards = "Hebrew" in sample.font
    for index, line in enumerate(lines):
        draw.text(
            (_WIDTH - _MARGIN if leftwards else _MARGIN, _MARGIN + index * pitch),
            line,
            fill=0,
            font=font,
            anchor="ra" if leftwards else "la",
        )
    return image


def below(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Return two pages as one."""
    image = Image.new("L", (max(upper.width, lower.width), upper.height + lower.height), 255)
    image.paste(upper, (0, 0))
    image.paste(lower, (0, upper.height))
    return image
