"""manage.py on a machine whose clock is ahead by CLOCK_AHEAD_SECONDS: ``python -m bench.ahead run_jobs``."""

import os
import sys
from datetime import timedelta

from django.core.management import execute_from_command_line
from django.utils import timezone

if __name__ == "__main__":
    right, ahead = timezone.now, timedelta(seconds=float(os.environ["CLOCK_AHEAD_SECONDS"]))
    timezone.now = lambda: right() + ahead
    execute_from_command_line(["manage.py", *sys.argv[1:]])
