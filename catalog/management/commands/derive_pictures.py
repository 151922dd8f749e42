"""Makes the sizes of pictures that were stored before there were sizes."""

from typing import Any

from django.core.management.base import BaseCommand

from catalog.services.pictures import derive_sizes


class Command(BaseCommand):
    help = "Store older pictures in every size. Repeating it goes on with what is left."

    def handle(self, *args: Any, **options: Any) -> None:
        done = 0
        for old, new in derive_sizes():
            if not new:
                self.stderr.write(f"{old}: missing, or not a picture")
            done += bool(new)
        self.stdout.write(f"{done} pictures have their sizes.")
