from django.db.backends.postgresql import base

from miniback.core.backends import TrustsFreshConnections


class DatabaseWrapper(TrustsFreshConnections, base.DatabaseWrapper):
    pass
