"""Search over the demo's 48 products: what a customer types, and what he must see first."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog import words
from catalog.models import Brand, Product, ProductStatus, SearchToken, Sku
from catalog.seed import seed_products
from catalog.services.products import announce_new_name, refresh_product, reindex_named, set_status
from catalog.services.search import engine, index_products
from miniback.core.models import OutboxMessage
from tests.conftest import Api
from tests.factories import make_category, make_product, make_sku

pytestmark = pytest.mark.django_db

# In the order of relevance; of more than eight the first eight.
EXPECTED = {
    "绿茶": "明前龙井绿茶",
    "龙井": "明前龙井绿茶",
    "龙井茶": "明前龙井绿茶",
    "龙井绿茶": "明前龙井绿茶",
    "绿茶龙井": "明前龙井绿茶",
    "明前龙井": "明前龙井绿茶",
    "茶": "茉莉花茶 明前龙井绿茶 安溪铁观音 云南古树普洱 福鼎白毫银针 武夷山大红袍",
    "红袍": "武夷山大红袍",
    "大红袍": "武夷山大红袍",
    "武夷山": "武夷山大红袍",
    "普洱": "云南古树普洱",
    "普洱茶": "云南古树普洱",
    "茉莉": "茉莉花茶 耶加雪菲水洗",
    "花茶": "茉莉花茶",
    "茉莉花": "茉莉花茶",
    "铁观音": "安溪铁观音",
    "安溪": "安溪铁观音",
    "白毫银针": "福鼎白毫银针",
    "脐橙": "赣南脐橙",
    "橙": "赣南脐橙",
    "苹果": "烟台红富士苹果 哥伦比亚慧兰",
    "红富士": "烟台红富士苹果",
    "烟台苹果": "烟台红富士苹果",
    "芒果": "攀枝花凯特芒果",
    "草莓": "丹东草莓",
    "丹东草莓": "丹东草莓",
    "葡萄": "阳光玫瑰葡萄",
    "猕猴桃": "蒲江红心猕猴桃",
    "水果": "丹东草莓 赣南脐橙 阳光玫瑰葡萄 蒲江红心猕猴桃 攀枝花凯特芒果 烟台红富士苹果",
    "咖啡": "云南保山小粒咖啡 曼特宁黄金 意式拼配一号 哥伦比亚慧兰 耶加雪菲水洗 低因瑞士水处理",
    "咖啡豆": "云南保山小粒咖啡 曼特宁黄金 意式拼配一号 哥伦比亚慧兰 耶加雪菲水洗 低因瑞士水处理",
    "云南": "云南古树普洱 云南保山小粒咖啡",
    "云南咖啡": "云南保山小粒咖啡",
    "耶加雪菲": "耶加雪菲水洗",
    "曼特宁": "曼特宁黄金",
    "哥伦比亚": "哥伦比亚慧兰",
    "低因": "低因瑞士水处理",
    "浅度烘焙": "耶加雪菲水洗",
    "烘焙": "曼特宁黄金 哥伦比亚慧兰 耶加雪菲水洗 云南保山小粒咖啡 意式拼配一号 低因瑞士水处理",
    "四件套": "水洗棉四件套",
    "毯": "羊羔绒休闲毯",
    "毯子": "",
    "乳胶枕": "天然乳胶枕",
    "枕头": "",
    "窗帘": "亚麻遮光窗帘",
    "蜡烛": "香薰蜡烛",
    "收纳": "藤编收纳篮 轻薄羽绒马甲",
    "锅": "铸铁珐琅锅 麦饭石不粘锅",
    "不粘锅": "麦饭石不粘锅",
    "铸铁锅": "铸铁珐琅锅",
    "菜刀": "手工锻打菜刀",
    "砧板": "整木砧板",
    "密封罐": "玻璃密封罐",
    "玻璃": "玻璃密封罐 耐热玻璃量杯",
    "量杯": "耐热玻璃量杯",
    "笔记本": "布面精装笔记本",
    "练习本": "学生练习本五本装",
    "计划本": "每日计划本",
    "本": "素描速写本 每日计划本 便携手账本 线圈活页本 布面精装笔记本 学生练习本五本装",
    "短袖": "重磅纯棉短袖",
    "衬衫": "法兰绒格子衬衫",
    "羊毛": "羊毛圆领针织衫",
    "针织衫": "羊毛圆领针织衫",
    "羽绒": "轻薄羽绒马甲",
    "卫衣": "连帽抓绒卫衣",
    "充电器": "氮化镓充电器65瓦",
    "65瓦": "氮化镓充电器65瓦",
    "快充": "编织数据线两米 氮化镓充电器65瓦",
    "数据线": "编织数据线两米",
    "蓝牙耳机": "无线蓝牙耳机",
    "蓝牙": "无线蓝牙耳机",
    "充电宝": "磁吸无线充电宝",
    "鼠标": "静音无线鼠标",
    "支架": "桌面手机支架",
    "MB00001": "明前龙井绿茶",
    "MB00001-2": "明前龙井绿茶",
    "mb00010": "烟台红富士苹果",
    "ＭＢ０００１０": "烟台红富士苹果",
    "龙井 头采": "明前龙井绿茶",
    "山见": "茉莉花茶 意式拼配一号 福鼎白毫银针 耶加雪菲水洗 明前龙井绿茶 云南保山小粒咖啡",
    "山见 咖啡": "云南保山小粒咖啡 意式拼配一号 耶加雪菲水洗",
    "拾豆": "曼特宁黄金 哥伦比亚慧兰 低因瑞士水处理",
    "新品": "茉莉花茶 香薰蜡烛 丹东草莓 弹力直筒长裤 手工锻打菜刀 耶加雪菲水洗 明前龙井绿茶 编织数据线两米",
    "纯棉": "重磅纯棉短袖",
    "棉": "重磅纯棉短袖 水洗棉四件套 羊毛圆领针织衫",
    "一年质保": "静音无线鼠标 桌面手机支架 无线蓝牙耳机 磁吸无线充电宝 编织数据线两米 氮化镓充电器65瓦",
    "手机": "桌面手机支架",
    "电脑": "",
    "降噪耳机": "无线蓝牙耳机",
    "无线": "静音无线鼠标 无线蓝牙耳机 磁吸无线充电宝",
    "无线鼠标": "静音无线鼠标",
    "降噪": "无线蓝牙耳机",
    "%": "",
    "_": "",
}


def found(text: str, limit: int = 8) -> list[str]:
    matching = engine().matching(Product.objects.all(), text).order_by("-relevance", "-id")
    return list(matching.values_list("name", flat=True)[:limit])


def test_what_customers_type() -> None:
    """The same on every database."""
    list(seed_products())
    assert {text: " ".join(found(text)) for text in EXPECTED} == EXPECTED
    assert len(EXPECTED) >= 60


def test_a_term_of_three_characters_stands_as_it_is() -> None:
    """Its pairs alone may stand apart."""
    make_product(name="红茶叶与茶叶罐")
    make_product(name="茶叶罐装红茶叶")
    make_product(name="红茶罐")
    assert found("红茶罐") == ["红茶罐"]
    assert set(found("茶叶罐")) == {"红茶叶与茶叶罐", "茶叶罐装红茶叶"}


def test_shorter_names_come_first_then_newer_ones() -> None:
    category = make_category(name="其他")
    for name in ("绿茶礼盒装", "绿茶", "绿茶", "碧螺春绿茶"):
        make_product(name=name, category=category)
    names = found("绿茶")
    assert names == ["绿茶", "绿茶", "碧螺春绿茶", "绿茶礼盒装"]
    ids = engine().matching(Product.objects.all(), "绿茶").order_by("-relevance", "-id")
    assert ids[0].pk > ids[1].pk


def test_latin_words_are_found_by_their_beginning() -> None:
    make_product(name="iPhone16手机壳")
    for text in ("iphone", "IPHONE16", "ip", "ｉｐｈｏｎｅ", "手机", "iphone16 手机壳"):
        assert found(text) == ["iPhone16手机壳"], text
    assert found("phone") == []


def test_only_what_is_on_sale_is_found(anonymous: Api) -> None:
    product = make_sku(product=make_product(name="龙井")).product
    assert found("龙井") == ["龙井"]
    set_status([product.pk], ProductStatus.OFF_SALE)
    assert found("龙井") == []
    assert not SearchToken.objects.exists()
    set_status([product.pk], ProductStatus.ON_SALE)
    assert found("龙井") == ["龙井"]


def test_a_new_name_is_found_by_a_job() -> None:
    brand = Brand.objects.create(name="山见")
    make_product(name="龙井", brand=brand)
    brand.name = "拾豆"
    brand.save()
    announce_new_name(brand)
    reindex_named(OutboxMessage.objects.get().payload)
    assert (found("拾豆"), found("山见")) == (["龙井"], [])


def test_the_index_can_be_made_again(capsys: Any) -> None:
    make_product(name="龙井")
    SearchToken.objects.all().delete()
    call_command("index_products")
    assert found("龙井") == ["龙井"]
    assert "1 products" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["绿茶", "绿茶 新品"])
def test_a_new_price_moves_a_product_among_what_is_found(anonymous: Api, text: str) -> None:
    category = make_category()
    for name in ("绿茶甲", "绿茶乙", "绿茶丙"):
        product = make_product(name=name, category=category, tags=["新品"])
        make_sku(product=product, price_fen=1000)

    def by_price() -> list[tuple[str, int]]:
        rows = anonymous.get(f"products/?search={text}&ordering=price_fen").json()["results"]
        return [(row["name"], row["price_fen"]) for row in rows]

    sku = Sku.objects.get(product__name="绿茶丙")
    for price in (500, 2000):
        Sku.objects.filter(pk=sku.pk).update(price_fen=price)
        refresh_product(sku.product_id)
        others = [("绿茶甲", 1000), ("绿茶乙", 1000)]
        mine = [("绿茶丙", price)]
        assert by_price() == (mine + others if price < 1000 else others + mine)


def test_a_search_has_pages_and_other_orders(anonymous: Api) -> None:
    category = make_category()
    for number in range(7):
        make_sku(
            product=make_product(name=f"绿茶{number}号", category=category), price_fen=1000 - number
        )

    def pages(query: str) -> list[int]:
        seen: list[int] = []
        cursor = ""
        while True:
            body = anonymous.get(f"products/?limit=3&search=绿茶{query}{cursor}").json()
            seen += [row["price_fen"] for row in body["results"]]
            if body["next_cursor"] is None:
                return seen
            cursor = f"&cursor={body['next_cursor']}"

    assert pages("") == list(range(994, 1001))
    assert pages("&ordering=price_fen") == list(range(994, 1001))
    assert pages("&ordering=-price_fen") == list(range(1000, 993, -1))
    assert pages("&min_price_fen=997") == list(range(997, 1001))


def test_facets_of_what_is_found(anonymous: Api) -> None:
    tea, cups = make_category(name="茶叶"), make_category(name="茶具")
    brand = Brand.objects.create(name="山见")
    for price in (1000, 2000, 3000, 4000):
        make_sku(product=make_product(name="绿茶", category=tea, brand=brand), price_fen=price)
    make_sku(product=make_product(name="绿茶杯", category=cups), price_fen=9900)
    make_sku(product=make_product(name="苹果", category=cups), price_fen=1)

    facets = anonymous.get("products/?search=绿茶&facets=true").json()["facets"]
    assert facets["categories"] == [
        {"id": tea.pk, "name": "茶叶", "count": 4}, {"id": cups.pk, "name": "茶具", "count": 1},
    ]  # fmt: skip
    assert facets["brands"] == [{"id": brand.pk, "name": "山见", "count": 4}]
    assert facets["is_complete"]
    bands = facets["price_bands"]
    assert sum(band["count"] for band in bands) == 5
    assert bands[0]["min_price_fen"] == 1000
    assert bands[-1]["max_price_fen"] == 9900
    for band in bands:
        query = f"&min_price_fen={band['min_price_fen']}&max_price_fen={band['max_price_fen']}"
        answer = anonymous.get(f"products/?search=绿茶{query}").json()
        assert len(answer["results"]) == band["count"]


def test_nothing_found_comes_with_suggestions(anonymous: Api) -> None:
    make_product(name="龙井绿茶")
    body = anonymous.get("products/?search=龙井 电脑").json()
    assert (body["results"], body["suggestions"]) == ([], ["龙井绿茶"])


def test_tags_and_attributes_narrow_a_list(anonymous: Api) -> None:
    """B15: what is asked for is a value, never a piece of a query."""
    attributes = {"材质": "纯棉", "季节": ["春", "秋"]}
    product = make_product(name="短袖", tags=["新品"], attributes=attributes)
    make_product(name="长裤", tags=["热卖"])

    def names(query: str) -> list[str]:
        return [row["name"] for row in anonymous.get(f"products/?{query}").json()["results"]]

    assert names("tag=新品") == ["短袖"]
    assert names("attribute=材质:纯棉") == names("attribute=季节:秋,材质:纯棉") == ["短袖"]
    assert names("attribute=季节:冬") == names("tag=新") == []
    assert names("search=短袖&tag=新品") == ["短袖"]
    for wrong in ("attribute=材质", "attribute=:x", "attribute=a:b,c:d,e:f,g:h,i:j,k:l"):
        assert anonymous.get(f"products/?{wrong}").json()["code"] == "invalid"
    assert len(names("attributes__材质=x&_connector=OR&tag__in=x")) == 2
    product.tags = []
    product.save()
    index_products([product.pk])
    assert names("tag=新品") == []


@pytest.mark.parametrize(
    "text", ["%" * 50, "_" * 50, "'; DROP TABLE x; --", "((((", "\\", "龘" * 50]
)
def test_hostile_words_are_words(anonymous: Api, text: str) -> None:
    """B14, T17."""
    make_product(name="绿茶")
    answer = anonymous.client.get("/api/v1/products/", {"search": text})
    assert answer.status_code == 200
    assert answer.json()["results"] == []


@pytest.mark.parametrize("text", ["绿" * 51, "x" * 10_000])
def test_long_searches_are_refused(anonymous: Api, text: str) -> None:
    """B14."""
    answer = anonymous.client.get("/api/v1/products/", {"search": text})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_relevance_needs_a_search(anonymous: Api) -> None:
    assert anonymous.get("products/?ordering=-relevance").json()["code"] == "invalid"


def test_queries_of_a_search_do_not_grow(anonymous: Api) -> None:
    category = make_category()
    counts = []
    for many in (2, 30):
        for number in range(many):
            make_sku(product=make_product(name=f"龙井绿茶{number}", category=category))
        with CaptureQueriesContext(connection) as captured:
            anonymous.get("products/?search=龙井绿茶&facets=true")
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 7


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("绿茶", {"绿", "茶", "绿茶"}),
        ("龙井 65W", {"龙", "井", "龙井", "65", "65w"}),
        ("ｉＰｈｏｎｅ", {"ip", "iph", "ipho", "iphon", "iphone"}),
        ("!，。", set()),
    ],
)
def test_tokens(text: str, tokens: set[str]) -> None:
    assert words.index_tokens(words.normalise(text)) == tokens


def test_questions_are_bounded() -> None:
    assert len(words.query_terms(" ".join("abcdefghijklmnop"))) == words.MAX_TERMS
