"""Pictures for the demo shop, drawn: nothing is downloaded and no font is needed."""

import colorsys
import io
import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

SIDE = 640
Colour = tuple[int, int, int]
Pen = ImageDraw.ImageDraw


def draw(kind: int, *, seed: int) -> bytes:
    """A JPEG of 640 x 640: one of eight subjects (tea, fruit, coffee, ...) in colours of its own."""
    chance = random.Random(seed)  # noqa: S311
    hue = (kind / 8 + chance.uniform(-0.05, 0.05)) % 1
    picture = _backdrop(hue)
    _shadow(picture)
    pen = ImageDraw.Draw(picture)
    SUBJECTS[kind % len(SUBJECTS)](pen, _tone(hue, 0.58, 0.87), _tone(hue, 0.72, 0.45))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=86)
    return buffer.getvalue()


def _tone(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _backdrop(hue: float) -> Image.Image:
    top, bottom = _tone(hue, 0.08, 0.99), _tone(hue, 0.24, 0.93)
    column = Image.new("RGB", (1, SIDE))
    for y in range(SIDE):
        part = y / SIDE
        mixed = [round(a + (b - a) * part) for a, b in zip(top, bottom, strict=True)]
        column.putpixel((0, y), (mixed[0], mixed[1], mixed[2]))
    return column.resize((SIDE, SIDE))


def _shadow(picture: Image.Image) -> None:
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).ellipse((150, 480, 490, 550), fill=90)
    picture.paste((40, 40, 40), mask=mask.filter(ImageFilter.GaussianBlur(18)))


def _tea(pen: Pen, light: Colour, dark: Colour) -> None:
    pen.rounded_rectangle((210, 190, 430, 520), 26, fill=light)
    pen.rounded_rectangle((195, 150, 445, 215), 22, fill=dark)
    pen.ellipse((250, 290, 390, 430), fill=(250, 248, 240))
    pen.line((320, 410, 320, 330), fill=dark, width=7)
    pen.ellipse((312, 305, 328, 352), fill=dark)
    pen.pieslice((262, 330, 326, 394), 180, 360, fill=dark)
    pen.pieslice((314, 345, 378, 409), 180, 360, fill=dark)


def _fruit(pen: Pen, light: Colour, dark: Colour) -> None:
    for x, y, r in ((250, 410, 105), (400, 420, 95), (325, 310, 110)):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=light, outline=dark, width=5)
        pen.ellipse((x - r // 2, y - r // 2, x - r // 5, y - r // 5), fill=(255, 255, 255))
    pen.line((325, 205, 345, 160), fill=(96, 70, 40), width=10)
    pen.ellipse((345, 140, 425, 185), fill=(96, 158, 72))


def _coffee(pen: Pen, light: Colour, dark: Colour) -> None:
    pen.ellipse((130, 470, 510, 550), fill=(250, 250, 250), outline=dark, width=4)
    pen.arc((380, 300, 500, 430), -90, 120, fill=light, width=26)
    pen.pieslice((180, 130, 440, 530), 0, 180, fill=light)
    pen.ellipse((180, 290, 440, 370), fill=dark)
    pen.ellipse((205, 303, 415, 357), fill=(94, 58, 36))
    for x in (260, 310, 360):
        pen.arc((x - 20, 150, x + 20, 210), 90, 270, fill=(255, 255, 255), width=8)
        pen.arc((x - 20, 210, x + 20, 270), -90, 90, fill=(255, 255, 255), width=8)


def _home(pen: Pen, light: Colour, dark: Colour) -> None:
    for step in range(4):
        y = 450 - step * 75
        colour = light if step % 2 else dark
        pen.rounded_rectangle((150 + step * 12, y, 490 - step * 12, y + 80), 34, fill=colour)
        pen.line((185 + step * 12, y + 40, 455 - step * 12, y + 40), fill=(255, 255, 255), width=3)


def _kitchen(pen: Pen, light: Colour, dark: Colour) -> None:
    pen.rounded_rectangle((160, 290, 480, 520), 50, fill=light)
    pen.rounded_rectangle((140, 265, 500, 310), 20, fill=dark)
    pen.rounded_rectangle((105, 340, 165, 380), 16, fill=dark)
    pen.rounded_rectangle((475, 340, 535, 380), 16, fill=dark)
    pen.ellipse((290, 215, 350, 270), fill=dark)


def _stationery(pen: Pen, light: Colour, dark: Colour) -> None:
    pen.rounded_rectangle((190, 140, 470, 520), 18, fill=dark)
    pen.rounded_rectangle((205, 140, 470, 510), 14, fill=light)
    pen.rectangle((255, 210, 420, 275), fill=(252, 250, 245))
    pen.rectangle((430, 140, 448, 510), fill=dark)
    for y in range(175, 500, 36):
        pen.ellipse((180, y, 214, y + 14), fill=(235, 235, 235))


def _clothes(pen: Pen, light: Colour, dark: Colour) -> None:
    pen.polygon(
        [
            (245, 160), (150, 220), (185, 320), (230, 295), (230, 520), (410, 520),
            (410, 295), (455, 320), (490, 220), (395, 160), (320, 200),
        ],
        fill=light,
    )  # fmt: skip
    pen.pieslice((255, 100, 385, 225), 15, 165, fill=dark)
    pen.line((230, 480, 410, 480), fill=dark, width=8)


def _gadget(pen: Pen, light: Colour, dark: Colour) -> None:
    pen.rounded_rectangle((220, 160, 420, 470), 40, fill=light)
    pen.rounded_rectangle((245, 200, 395, 330), 20, fill=dark)
    pen.ellipse((295, 365, 345, 415), fill=(250, 250, 250))
    pen.rectangle((270, 120, 290, 165), fill=dark)
    pen.rectangle((350, 120, 370, 165), fill=dark)
    pen.arc((300, 430, 520, 560), 0, 180, fill=dark, width=14)


SUBJECTS: tuple[Callable[[Pen, Colour, Colour], None], ...] = (
    _tea, _fruit, _coffee, _home, _kitchen, _stationery, _clothes, _gadget,
)  # fmt: skip
