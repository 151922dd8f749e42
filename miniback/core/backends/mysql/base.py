from django.db.backends.mysql import base

from miniback.core.backends import TrustsFreshConnections


class DatabaseWrapper(TrustsFreshConnections, base.DatabaseWrapper):
    pass
