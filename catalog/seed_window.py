"""The demo shop's home page and hot keywords."""

from catalog.models import (
    Banner,
    Category,
    HomeRow,
    HomeRowProduct,
    HomeRowRule,
    HotKeyword,
    LinkKind,
    Product,
    ProductPicture,
)
from miniback.core.transactions import atomic

BANNERS = ("春茶上新", "一杯好咖啡", "把家布置得舒服一点")
# Which of the demo's articles each banner shows.
ARTICLES = (0, 2, 3)
ROWS = (
    ("店长推荐", HomeRowRule.PICKED),
    ("新品上架", HomeRowRule.NEWEST),
    ("大家都在买", HomeRowRule.BEST_SELLING),
)
KEYWORDS = ("龙井", "手冲咖啡", "四件套", "羽绒", "充电宝", "笔记本")


@atomic
def seed_window() -> None:
    """Compose the home page of a shop that has none; whatever staff made is left alone."""
    if HomeRow.objects.exists() or Banner.objects.exists():
        return
    products = list(Product.objects.on_sale().order_by("id")[:12])
    Category.objects.filter(parent=None).update(is_shortcut=True)
    for position, (title, article) in enumerate(zip(BANNERS, ARTICLES, strict=True)):
        product = products[article]
        picture = ProductPicture.objects.filter(product=product).order_by("position").first()
        assert picture is not None
        Banner.objects.create(
            title=title,
            picture=picture.picture.name,
            link_kind=LinkKind.PRODUCT,
            link_value=str(product.pk),
            position=position,
        )
    for position, (title, rule) in enumerate(ROWS):
        row = HomeRow.objects.create(title=title, rule=rule, position=position)
        if rule == HomeRowRule.PICKED:
            for place, product in enumerate(products[::2]):
                HomeRowProduct.objects.create(row=row, product=product, position=place)
    for position, keyword in enumerate(KEYWORDS):
        HotKeyword.objects.get_or_create(
            keyword=keyword,
            defaults={
                "position": position,
                "is_default": position == 0,
                "is_highlighted": position < 2,
            },
        )
