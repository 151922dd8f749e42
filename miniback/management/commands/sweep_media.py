"""Deletes stored files that nothing uses."""

from datetime import timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from miniback.media import forget_unused_uploads, unused_files


class Command(BaseCommand):
    help = "List files that nothing uses, such as replaced pictures; with --delete, delete them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete", action="store_true")
        parser.add_argument("--hours", type=int, default=24, help="leave what is younger (24)")

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - timedelta(hours=options["hours"])
        if options["delete"]:
            forgotten = forget_unused_uploads(before)
            self.stdout.write(f"{forgotten} uploads that nothing refers to were forgotten.")
        count = size = 0
        for unused in unused_files(before):
            count, size = count + 1, size + unused.size
            if options["delete"]:
                default_storage.delete(unused.name)
            else:
                self.stdout.write(unused.name)
        verb = "deleted" if options["delete"] else "unused"
        self.stdout.write(f"{count} files {verb}, {size / 1e6:.1f} MB.")
