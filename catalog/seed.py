"""A small believable shop, or a large one: the same products in the same order every time."""

import io
import itertools
import random
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from django.core.files.storage import default_storage
from django.db.models import Max
from django.utils import timezone

from catalog.drawing import draw
from catalog.models import (
    Brand,
    Category,
    Product,
    ProductOption,
    ProductPicture,
    ProductStatus,
    Sku,
    StockMovement,
    StockMovementKind,
)
from catalog.services.search import index_products
from miniback.core.pictures import ORIGINAL, store_picture
from miniback.core.transactions import atomic

BATCH = 500
PICTURES = "pictures/de"
# Every how many products have the tag.
TAGS = {"新品": 5, "热卖": 7, "包邮": 3}


class Family(NamedTuple):
    """A category's articles: what they have in common, and their names with a price in yuan."""

    category: str
    brands: tuple[str, ...]
    options: dict[str, tuple[str, ...]]
    articles: tuple[tuple[str, str, int], ...]
    story: str
    attributes: dict[str, str]


FAMILIES = (
    Family(
        "茶叶", ("云岭茶社", "山见"), {"规格": ("50克", "100克", "250克")},
        (
            ("明前龙井绿茶", "头采嫩芽，豆香清甜", 128), ("武夷山大红袍", "岩骨花香，炭火慢焙", 158),
            ("福鼎白毫银针", "毫心肥壮，清雅回甘", 188), ("安溪铁观音", "兰花香，七泡有余香", 98),
            ("云南古树普洱", "勐海熟茶，醇厚顺滑", 108), ("茉莉花茶", "七窨一提，鲜灵持久", 68),
        ),
        "当季采摘，小批量制作，密封避光保存。建议水温85至95度冲泡。",
        {"产地": "中国", "保存": "密封避光"},
    ),
    Family(
        "水果", ("果园日记",), {"重量": ("3斤装", "5斤装", "10斤装")},
        (
            ("赣南脐橙", "皮薄多汁，现摘现发", 39), ("烟台红富士苹果", "脆甜多汁，单果八两", 45),
            ("攀枝花凯特芒果", "肉厚核小，香甜无丝", 49), ("丹东草莓", "奶香浓郁，顺丰冷链", 88),
            ("阳光玫瑰葡萄", "玫瑰香气，无籽脆甜", 69), ("蒲江红心猕猴桃", "软糯香甜，自然成熟", 42),
        ),
        "产地直发，坏果包赔。收到后请及时拆箱，阴凉处存放。",
        {"产地": "中国", "配送": "产地直发"},
    ),
    Family(
        "咖啡", ("拾豆", "山见"), {"规格": ("227克", "454克"), "研磨": ("咖啡豆", "手冲粉")},
        (
            ("云南保山小粒咖啡", "坚果与焦糖，中度烘焙", 58), ("耶加雪菲水洗", "柑橘与茉莉，浅度烘焙", 78),
            ("曼特宁黄金", "草本与黑巧，深度烘焙", 72), ("哥伦比亚慧兰", "红苹果与奶油，中度烘焙", 66),
            ("意式拼配一号", "厚实油脂，适合奶咖", 62), ("低因瑞士水处理", "晚上也能喝", 86),
        ),
        "下单后烘焙，七日内赏味最佳。单向排气阀包装。",
        {"烘焙": "下单后烘焙", "保存": "密封避光"},
    ),
    Family(
        "家居", ("木与宿",), {"颜色": ("米白", "雾蓝", "燕麦")},
        (
            ("水洗棉四件套", "亲肤透气，不掉色", 269), ("羊羔绒休闲毯", "盖毯披肩两用", 129),
            ("天然乳胶枕", "人体曲线，可拆洗", 159), ("亚麻遮光窗帘", "自然垂坠，免打孔", 188),
            ("香薰蜡烛", "大豆蜡，燃烧四十小时", 69), ("藤编收纳篮", "手工编织，大容量", 55),
        ),
        "面料通过安全检测，婴幼儿可接触皮肤。支持七天无理由退换。",
        {"材质": "天然材料", "售后": "七天无理由"},
    ),
    Family(
        "厨房", ("灶边",), {"尺寸": ("小号", "中号", "大号")},
        (
            ("铸铁珐琅锅", "受热均匀，慢炖锁鲜", 299), ("麦饭石不粘锅", "少油少烟，易清洗", 139),
            ("手工锻打菜刀", "三层钢，锋利耐用", 168), ("整木砧板", "抗菌防霉，双面可用", 79),
            ("玻璃密封罐", "硅胶密封，防潮保鲜", 29), ("耐热玻璃量杯", "双面刻度，微波可用", 25),
        ),
        "食品接触用材料，附检测报告。首次使用请先清洗。",
        {"材质": "食品级", "产地": "中国"},
    ),
    Family(
        "文具", ("纸上",), {"款式": ("横线", "方格", "空白")},
        (
            ("布面精装笔记本", "一百克道林纸，不透墨", 36), ("线圈活页本", "可加页，平摊书写", 28),
            ("便携手账本", "随身尺寸，圆角设计", 32), ("每日计划本", "全年不限起始日", 45),
            ("素描速写本", "一百六十克细纹纸", 39), ("学生练习本五本装", "护眼纸，装订牢固", 18),
        ),
        "纸张来自可持续林业。颜色以收到实物为准。",
        {"材质": "环保纸张", "产地": "中国"},
    ),
    Family(
        "服饰", ("棉事", "木与宿"), {"颜色": ("黑色", "白色", "藏青"), "尺码": ("S", "M", "L")},
        (
            ("重磅纯棉短袖", "二百六十克，不易变形", 79), ("法兰绒格子衬衫", "磨毛面料，柔软保暖", 139),
            ("羊毛圆领针织衫", "澳洲羊毛，机可水洗", 229), ("弹力直筒长裤", "四面弹，久坐不皱", 159),
            ("轻薄羽绒马甲", "九十白鸭绒，可收纳", 239), ("连帽抓绒卫衣", "里层抓绒，宽松版型", 149),
        ),
        "尺码为平铺测量，误差一至三厘米。深色请与浅色分开洗涤。",
        {"季节": "四季", "售后": "七天无理由"},
    ),
    Family(
        "数码配件", ("电格",), {"颜色": ("曜石黑", "云雾白")},
        (
            ("氮化镓充电器65瓦", "三口快充，折叠插脚", 129), ("编织数据线两米", "双向快充，一万次弯折", 39),
            ("无线蓝牙耳机", "主动降噪，续航三十小时", 259), ("磁吸无线充电宝", "一万毫安，轻薄随身", 149),
            ("桌面手机支架", "铝合金，角度可调", 59), ("静音无线鼠标", "三档调速，一年续航", 69),
        ),
        "一年质保，只换不修。支持国家三包政策。",
        {"质保": "一年", "售后": "只换不修"},
    ),
)  # fmt: skip


def seed_products(count: int | None = None) -> Iterator[int]:
    """Make ``count`` products (None: the small shop of 48), yielding how many are done so far.

    Running it again adds only what is missing.
    """
    catalogue = list(_articles())
    wanted = count or len(catalogue)
    categories, brands, pictures = _categories(), _brands(), _pictures()
    start = Product.objects.filter(skus__code__regex=r"^MB[0-9]{5,}-1$").distinct().count()
    for first in range(start, wanted, BATCH):
        numbers = range(first, min(first + BATCH, wanted))
        _make_batch(numbers, catalogue, categories, brands, pictures)
        yield numbers.stop


def _articles() -> Iterator[tuple[int, Family, str, str, int]]:
    """Every article once, the families taking turns."""
    for place in range(max(len(family.articles) for family in FAMILIES)):
        for index, family in enumerate(FAMILIES):
            if place < len(family.articles):
                name, subtitle, yuan = family.articles[place]
                yield index, family, name, subtitle, yuan


def _categories() -> dict[str, Category]:
    made = {}
    for position, family in enumerate(FAMILIES):
        made[family.category], _new = Category.objects.get_or_create(
            name=family.category, parent=None, defaults={"position": position}
        )
    return made


def _brands() -> dict[str, Brand]:
    names = dict.fromkeys(brand for family in FAMILIES for brand in family.brands)
    return {name: Brand.objects.get_or_create(name=name)[0] for name in names}


def _pictures() -> list[str]:
    """Names of one drawn picture an article; a large shop shares them."""
    names = []
    for number, (kind, *_rest) in enumerate(_articles()):
        name = f"demo-{number:02d}"
        kept = f"{PICTURES}/{name}/{ORIGINAL}"
        if not default_storage.exists(kept):
            drawn = io.BytesIO(draw(kind, seed=number))
            kept = store_picture(drawn, default_storage, name=name)
        names.append(kept)
    return names


@atomic
def _make_batch(
    numbers: range,
    catalogue: list[tuple[int, Family, str, str, int]],
    categories: dict[str, Category],
    brands: dict[str, Brand],
    pictures: list[str],
) -> None:
    # Not every database returns the ids of a bulk insert; this is the only writer.
    last_id = Product.objects.aggregate(last=Max("id"))["last"] or 0
    last_sku = Sku.objects.aggregate(last=Max("id"))["last"] or 0
    plans = [_plan(number, catalogue, pictures) for number in numbers]
    Product.objects.bulk_create(
        Product(
            category=categories[plan["family"].category],
            brand=brands[plan["brand"]],
            tags=plan["tags"],
            attributes=plan["family"].attributes,
            detail_html=f"<p>{plan['family'].story}</p>",
            status=ProductStatus.ON_SALE,
            in_stock=any(stock for *_rest, stock in plan["skus"]),
            price_fen=min(price for _code, _options, price, _stock in plan["skus"]),
            **plan["columns"],
        )
        for plan in plans
    )
    products = list(Product.objects.filter(id__gt=last_id).order_by("id"))
    pairs = list(zip(products, plans, strict=True))
    _bulk_children(pairs)
    index_products([product.pk for product in products])
    skus = Sku.objects.filter(id__gt=last_sku, stock__gt=0).order_by("id")
    StockMovement.objects.bulk_create(
        StockMovement(
            sku=sku,
            kind=StockMovementKind.INITIAL,
            delta=sku.stock,
            reference="seed",
            event_key=f"initial:seed:{sku.pk}",
        )
        for sku in skus
    )


def _bulk_children(pairs: Iterable[tuple[Product, dict[str, Any]]]) -> None:
    pictures, options, skus = [], [], []
    for product, plan in pairs:
        pictures += [
            ProductPicture(product=product, picture=name, position=place)
            for place, name in enumerate(plan["pictures"])
        ]
        options += [
            ProductOption(product=product, name=name, values=list(values), position=place)
            for place, (name, values) in enumerate(plan["family"].options.items())
        ]
        skus += [
            Sku(
                product=product,
                code=code,
                options=chosen,
                price_fen=price_fen,
                market_price_fen=price_fen * 13 // 1000 * 100,
                stock=stock,
            )
            for code, chosen, price_fen, stock in plan["skus"]
        ]
    ProductPicture.objects.bulk_create(pictures)
    ProductOption.objects.bulk_create(options)
    Sku.objects.bulk_create(skus)


def _plan(
    number: int, catalogue: list[tuple[int, Family, str, str, int]], pictures: list[str]
) -> dict[str, Any]:
    """Everything about product ``number``, from its number alone."""
    chance = random.Random(number)  # noqa: S311
    place = number % len(catalogue)
    _kind, family, name, subtitle, yuan = catalogue[place]
    edition = number // len(catalogue)
    skus = []
    for step, values in enumerate(itertools.product(*family.options.values())):
        price_fen = yuan * 100 * (10 + 7 * (step % 3)) // 10 // 100 * 100 - 10 + 100
        # One article in sixteen is sold out, so that a client sees it.
        stock = 0 if number % 16 == 15 else chance.randrange(20, 300)
        options = dict(zip(family.options, values, strict=True))
        skus.append((f"MB{number + 1:05d}-{step + 1}", options, price_fen, stock))
    columns = {
        "name": name if edition == 0 else f"{name} {edition + 1}号",
        "subtitle": subtitle,
        "cover": pictures[place],
        "market_price_fen": skus[0][2] * 13 // 1000 * 100,
        "sales_count": chance.randrange(0, 3000),
        "published_at": timezone.now() - timedelta(minutes=number),
    }
    return {
        "family": family,
        "tags": [tag for tag, every in TAGS.items() if number % every == 0],
        "brand": chance.choice(family.brands),
        "skus": skus,
        "columns": columns,
        "pictures": [pictures[place], pictures[(place + 8) % len(pictures)]],
    }
