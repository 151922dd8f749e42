"""An import of 50,000 rows, a hundred of them bad, whose process is killed with -9 on the way.

    make bench-import

Everything good is there once, and the report names every bad line.
"""

import argparse
import csv
import os
import random
import subprocess
import sys
import time

from bench.stage import say, stage  # first: it sets Django up
from catalog.models import Product, Sku, StockMovement
from miniback.core.models import Task, TaskKind
from miniback.core.tasks import begin_task, prepare_task
from tests.factories import make_staff
from tests.races.conftest import database_url
from tests.sandbox_process import ROOT

HEADER = "商品编号,商品名称,分类,SKU编码,价格,库存,规格,状态"
# Each makes a row bad in its own way: which cell, and what stands there.
SPOILED = ((4, "十九块"), (5, "-3"), (3, ""), (6, "规格"))


def table(rows: int, bad: set[int]) -> bytes:
    """Two SKUs a product."""
    lines = [HEADER]
    for number in range(rows):
        product, place = divmod(number, 2)
        cells = [
            f"I{product}", f"茶{product}", "导入/测试", f"I{product}-{place}", "19.90", "5",
            f"规格={'小大'[place]}", "上架",
        ]  # fmt: skip
        if number in bad:
            cell, spoiled = SPOILED[number % len(SPOILED)]
            cells[cell] = spoiled
        lines.append(",".join(cells))
    return "\n".join(lines).encode()


def work(task: Task, kills: int, every: float) -> int:
    """Run the jobs until the task is done, killing them on the way; return how often."""
    env = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "miniback.settings",
    }
    command = [sys.executable, "manage.py", "run_jobs"]
    killed = 0
    while True:
        runner = subprocess.Popen(command, cwd=ROOT, env=env)
        began, before = time.monotonic(), task.done
        while task.finished_at is None:
            time.sleep(0.5)
            task.refresh_from_db()
            is_at_work = task.done != before and time.monotonic() - began > every
            if killed < kills and is_at_work:
                break
        runner.kill()
        runner.wait()
        if task.finished_at:
            return killed
        killed += 1
        say(f"killed at row {task.done:,}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--bad", type=int, default=100)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--every", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    bad = set(random.Random(1).sample(range(options.rows), options.bad))
    with stage():
        source = table(options.rows, bad)
        member = make_staff(username="bench")
        task = prepare_task(TaskKind.IMPORT_PRODUCTS, user=member, source=source)
        begin_task(task)
        began = time.monotonic()
        killed = work(task, options.kills, options.every)
        say(f"{options.rows:,} rows in {time.monotonic() - began:.0f} s, killed {killed} times")
        return report(task, bad, options.rows)


def report(task: Task, bad: set[int], rows: int) -> int:
    # A product with a bad row is left out whole.
    good = 2 * (rows // 2 - len({number // 2 for number in bad}))
    with task.report.open("r") as file:
        # The first line of the file is its header, and lines count from one.
        told = {int(cells[0]) - 2 for cells in list(csv.reader(file))[1:]}
    figures = {
        "SKUs missing or doubled": Sku.objects.count() - good,
        "products missing or doubled": Product.objects.count() - good // 2,
        "stock movements missing or doubled": StockMovement.objects.count() - good,
        "bad lines not told, or good ones told": len(told ^ bad),
    }
    say(f"the task says: {task.counts}")
    for what, count in figures.items():
        say(f"{what:40}{count:6}")
    return int(any(figures.values()))


if __name__ == "__main__":
    sys.exit(main())
