"""People: what belongs to whom, and what is encrypted can still be read and found."""

import json
from collections.abc import Sequence
from typing import Any, Final

from cryptography.fernet import InvalidToken

from accounts.models import PHONE_TAIL, phone_hashes
from miniback.core.crypto import decrypt
from miniback.core.models import Upload
from orders.services.audit.rules import Rule

# Reading what is encrypted takes a second for twenty thousand rows: the newest are looked at.
NEWEST: Final = 20_000
# Of each of these the uploads are asked for.
PICTURED: Final = 2_000
# What a request with a key may have made, and whose it is.
_MADE: Final = (
    ("orders.Order", "SELECT id, user_id FROM orders_order"),
    ("orders.ClaimedCoupon", "SELECT id, user_id FROM orders_claimedcoupon"),
    (
        "orders.Refund",
        "SELECT r.id, o.user_id FROM orders_refund r JOIN orders_order o ON o.id = r.order_id",
    ),
    ("catalog.Review", "SELECT id, user_id FROM catalog_review"),
)
# These may be gone since.
_MADE_FOR_A_WHILE: Final = (
    ("orders.CartLine", "SELECT id, user_id FROM orders_cartline"),
    ("accounts.Address", "SELECT id, user_id FROM accounts_address"),
)


def _cannot_be_found(row: Sequence[Any]) -> bool:
    """Say whether a row's phone cannot be read, or is not found by its hashes."""
    _name, phone, whole, tail, *texts = row
    try:
        for text in filter(None, texts):
            decrypt(text)
        number = decrypt(phone) if phone else ""
    except InvalidToken:
        return True
    if not number:
        return bool(whole or tail)
    hashes = phone_hashes(number)
    return len(number) < PHONE_TAIL or (whole, tail) != (
        hashes["phone_hash"],
        hashes["phone_tail_hash"],
    )


def _has_foreign_pictures(row: Sequence[Any]) -> bool:
    """Say whether pictures are named that are not the customer's own, or not for this."""
    _name, images, user_id, purpose = row
    ids = set(json.loads(images) if isinstance(images, str) else images)
    own = Upload.objects.filter(pk__in=ids, user=user_id, purpose=purpose)
    return own.count() != len(ids)


_PHONES = " UNION ALL ".join(
    f"""SELECT * FROM (SELECT CONCAT('{table} ', id), phone, phone_hash, phone_tail_hash, {text}
        FROM {table} ORDER BY id DESC LIMIT {NEWEST}) newest_{table}"""  # noqa: S608
    for table, text in (
        ("orders_order", "detail"),
        ("accounts_address", "detail"),
        ("accounts_user", "''"),
    )
)
_PICTURES = f"""
    SELECT * FROM (SELECT r.number, r.images, o.user_id, 'refund' AS purpose FROM orders_refund r
                   JOIN orders_order o ON o.id = r.order_id
                   WHERE r.images <> '[]' ORDER BY r.id DESC LIMIT {PICTURED}) refunds
    UNION ALL
    SELECT * FROM (SELECT reference, images, user_id, 'review' AS purpose FROM catalog_review
                   WHERE images <> '[]' ORDER BY id DESC LIMIT {PICTURED}) reviews
    UNION ALL
    SELECT * FROM (SELECT reference, follow_up_images, user_id, 'review' AS purpose
                   FROM catalog_review
                   WHERE follow_up_images <> '[]' ORDER BY id DESC LIMIT {PICTURED}) follow_ups"""  # noqa: S608
_KEYS = """
    SELECT k.id, k.kind, k.object_id FROM core_idempotencykey k
    WHERE LENGTH(k.request_hash) <> 64 OR k.key = '' OR k.created_at > %(ahead_10_minutes)s
       OR (k.kind = '' AND k.object_id <> '') OR (k.kind <> '' AND k.object_id = '')
    UNION """ + " UNION ".join(  # noqa: S608
    f"""SELECT k.id, k.kind, k.object_id FROM core_idempotencykey k
        LEFT JOIN ({rows}) m ON m.id = NUMBER(k.object_id)
        WHERE k.kind = '{kind}' AND ({is_gone} OR m.user_id <> k.user_id)"""  # noqa: S608
    for made, is_gone in ((_MADE, "m.id IS NULL"), (_MADE_FOR_A_WHILE, "1 = 0"))
    for kind, rows in made
)

RULES = (
    Rule(
        "phone-found",
        f"Phones and addresses can be read, and are found by the phone: the newest {NEWEST} of each table.",
        "FIELD_ENCRYPTION_KEYS must name every key that was ever used, FIELD_HASH_KEY must never change. "
        "Otherwise write the address anew on the order's page.",
        _PHONES,
        _cannot_be_found,
    ),
    Rule(
        "address-complete",
        "Every address, and every order's copy of one, is complete; a region code has six digits.",
        "Write the address anew on the order's page.",
        " UNION ".join(
            f"""SELECT CONCAT('{table} ', id) FROM {table}
                WHERE recipient = '' OR phone = '' OR province = '' OR city = '' OR detail = ''
                   OR LENGTH(phone_hash) <> 64 OR LENGTH(phone_tail_hash) <> 64
                   OR LENGTH(region_code) NOT IN (0, 6)"""  # noqa: S608
            for table in ("orders_order", "accounts_address")
        ),
    ),
    Rule(
        "address-default",
        "A customer with addresses has one default address.",
        "Choose the default in the customer's address list.",
        """SELECT user_id FROM accounts_address GROUP BY user_id
           HAVING SUM(CASE WHEN is_default THEN 1 ELSE 0 END) <> 1""",
    ),
    Rule(
        "session-owner",
        "A session is its identity's customer's, and a blocked customer has none.",
        "End the session on the customer's page.",
        """SELECT s.id FROM accounts_session s
           LEFT JOIN accounts_identity i ON i.id = s.identity_id
           LEFT JOIN accounts_user u ON u.id = s.user_id
           WHERE u.id IS NULL OR i.id IS NULL OR i.user_id <> s.user_id
              OR (NOT u.is_active AND s.revoked_at IS NULL)
              OR LENGTH(s.refresh_hash) <> 64 OR LENGTH(s.previous_hash) NOT IN (0, 64)
              OR s.refresh_hash = s.previous_hash
              OR (s.rotated_at IS NOT NULL AND s.previous_hash = '')
              OR (s.rotated_at IS NULL AND s.previous_hash <> '')
              OR SECONDS(s.rotated_at, s.created_at) > 60 OR SECONDS(s.revoked_at, s.created_at) > 60
              OR SECONDS(s.created_at, i.created_at) > 60
              OR s.created_at > %(ahead_10_minutes)s OR s.rotated_at > %(ahead_10_minutes)s
              OR s.revoked_at > %(ahead_10_minutes)s""",
    ),
    Rule(
        "identity-owner",
        "An identity is a customer's; one person of a platform is one customer.",
        "Write the customer back; the identity's orders and sessions name them.",
        """SELECT i.id FROM accounts_identity i LEFT JOIN accounts_user u ON u.id = i.user_id
           WHERE u.id IS NULL OR u.username IS NOT NULL OR i.openid = '' OR i.app_id = ''
              OR i.platform NOT IN ('wechat', 'alipay', 'douyin')
           UNION SELECT MIN(id) FROM accounts_identity WHERE unionid <> ''
           GROUP BY platform, unionid HAVING COUNT(DISTINCT user_id) > 1""",
    ),
    Rule(
        "session-key-read",
        f"What a platform gave to open its messages can be read: the newest {NEWEST}.",
        "FIELD_ENCRYPTION_KEYS must name every key that was ever used; the customer's next login mends it.",
        f"""SELECT id, '', '', '', session_key FROM accounts_identity
            WHERE session_key <> '' ORDER BY id DESC LIMIT {NEWEST}""",  # noqa: S608
        _cannot_be_found,
    ),
    Rule(
        "customer-known",
        "A customer has an identity, and a member of staff a password.",
        "Restore the identity from a backup; a customer without one cannot log in.",
        """SELECT u.id FROM accounts_user u LEFT JOIN accounts_identity i ON i.user_id = u.id
           WHERE (u.username IS NULL AND (i.id IS NULL OR u.is_staff OR u.is_superuser))
              OR (u.username IS NOT NULL AND u.password = '')""",
    ),
    Rule(
        "avatar-owner",
        "An avatar is an upload of its customer, made for that.",
        "Take the avatar away on the customer's page.",
        """SELECT u.id FROM accounts_user u LEFT JOIN core_upload p ON p.id = u.avatar_id
           WHERE u.avatar_id IS NOT NULL
             AND (p.id IS NULL OR p.user_id <> u.id OR p.purpose <> 'avatar')""",
    ),
    Rule(
        "upload-known",
        "An upload has an owner, a size and a file.",
        "Delete the upload.",
        """SELECT p.id FROM core_upload p LEFT JOIN accounts_user u ON u.id = p.user_id
           WHERE u.id IS NULL OR p.width < 1 OR p.height < 1 OR p.width > 2048 OR p.height > 2048
              OR p.file NOT LIKE CONCAT('%%', p.id, '.%%')
              OR p.purpose NOT IN ('avatar', 'review', 'refund')
              OR p.created_at > %(ahead_10_minutes)s""",
    ),
    Rule(
        "picture-owner",
        f"The pictures of refunds and reviews are their customers' own: the newest {PICTURED} of each.",
        "Empty the list of pictures: they show what another customer sent.",
        _PICTURES,
        _has_foreign_pictures,
    ),
    Rule(
        "idempotency-key",
        "A request's key leads to what it made, which is its sender's.",
        "Delete the key; the client's next try makes it anew, so look first whether it is there.",
        _KEYS,
    ),
)
