"""A product's poster: its picture, price and name over a mini-program code, to be sent to friends."""

import io

from PIL import Image, ImageDraw, ImageFont, ImageOps

WIDTH, HEIGHT, MARGIN, CODE = 750, 1100, 40, 240
INK, SOFT, RED = (34, 34, 34), (140, 140, 140), (225, 48, 48)


def draw_poster(
    picture: Image.Image | None, code: Image.Image, *, name: str, price: str, font_file: str
) -> bytes:
    """A JPEG of 750 x 1100. Raises OSError for a font file that is none."""
    poster = Image.new("RGB", (WIDTH, HEIGHT), "white")
    if picture is not None:
        poster.paste(ImageOps.fit(picture.convert("RGB"), (WIDTH, WIDTH)))
    top = WIDTH + MARGIN
    poster.paste(code.convert("RGB").resize((CODE, CODE)), (WIDTH - MARGIN - CODE, top))
    pen = ImageDraw.Draw(poster)
    large, plain, small = (ImageFont.truetype(font_file, size) for size in (56, 34, 24))
    pen.text((MARGIN, top), f"¥{price}", font=large, fill=RED)
    room = WIDTH - 3 * MARGIN - CODE
    for number, line in enumerate(lines_of(name, plain, room)[:3]):
        pen.text((MARGIN, top + 84 + 46 * number), line, font=plain, fill=INK)
    pen.text((MARGIN, top + CODE + 10), "长按识别小程序码", font=small, fill=SOFT)
    buffer = io.BytesIO()
    poster.save(buffer, "JPEG", quality=86)
    return buffer.getvalue()


def lines_of(text: str, font: ImageFont.FreeTypeFont, room: int) -> list[str]:
    """``text`` broken where it no longer fits; Chinese breaks anywhere."""
    lines = [""]
    for letter in text:
        if font.getlength(lines[-1] + letter) > room:
            lines.append("")
        lines[-1] += letter
    return lines
