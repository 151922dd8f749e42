"""Where categories hang."""

from django.utils.translation import gettext_lazy as _

from catalog.models import Category, CategoryTree
from miniback.core.errors import InvalidFields
from miniback.core.transactions import atomic


@atomic
def move_category(category_id: int, *, parent_id: int | None, before_id: int | None) -> Category:
    """Hang a category below another (None: at the top), before one of its siblings or, with None, last.

    Raises InvalidFields where one of them is gone, or the parent hangs below the category itself.
    """
    rows = {row.pk: row for row in Category.objects.select_for_update().order_by("pk")}
    if not {category_id, parent_id, before_id} - {None} <= set(rows):
        raise InvalidFields(category=_("This category is not there any more."))
    tree = CategoryTree((row.pk, row.parent_id) for row in rows.values())
    if parent_id in tree.with_descendants([category_id]):
        raise InvalidFields(parent=_("Choose a category that is not below this one."))
    moved = rows.pop(category_id)
    siblings = sorted(
        (row for row in rows.values() if row.parent_id == parent_id),
        key=lambda row: (row.position, row.pk),
    )
    place = next((n for n, row in enumerate(siblings) if row.pk == before_id), len(siblings))
    siblings.insert(place, moved)
    moved.parent_id = parent_id
    for position, row in enumerate(siblings, start=1):
        row.position = position
    Category.objects.bulk_update(siblings, ["parent", "position"])
    return moved
