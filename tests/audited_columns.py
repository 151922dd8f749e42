"""What each column that services write is about, and why some may differ without a rule noticing.

Every column of every table is named here; a test keeps the lists complete. Columns with money, stock,
state, ownership or due times must be noticed, or be excused with a reason. The others are text and
settings that can be compared with nothing.
"""

from typing import Final

WEIGHTY: Final = ("money", "stock", "state", "owner", "due")

STAFF: Final = "What staff typed is the truth: there is nothing to compare it with."
WISH: Final = "The customer's own wish or consent, which moves nothing: nobody else knows it."

# Tables that are looked at by no rule, with the reason.
EXCUSED_TABLES: Final = {
    "orders_coupon_categories": STAFF,
    "orders_coupon_brands": STAFF,
    "orders_coupon_products": STAFF,
    "orders_messagetemplate": STAFF,
    "orders_carrier": STAFF,
    "catalog_freighttemplate": STAFF,
    "catalog_freightrule": STAFF,
    "catalog_category": STAFF,
    "catalog_brand": STAFF,
    "catalog_product_related": STAFF,
    "catalog_productpicture": STAFF,
    "catalog_productoption": STAFF,
    "catalog_banner": STAFF,
    "catalog_homerow": STAFF,
    "catalog_homerowproduct": STAFF,
    "catalog_hotkeyword": STAFF,
    "accounts_user_groups": STAFF,
    "accounts_user_user_permissions": STAFF,
    "orders_cartline": WISH,
    "catalog_favourite": WISH,
    "catalog_footprint": WISH,
    "catalog_searchhistory": WISH,
    "orders_messageconsent": WISH,
    "orders_coupon": "The terms are what staff typed; the count of claims, a service's, is noticed.",
    "catalog_picturecheck": "A question to the platform; without its answer the picture stays hidden.",
    "catalog_searchtoken": "Made anew by manage.py index_products; a wrong price or product is noticed.",
    "catalog_productfacet": "Made anew by manage.py index_products; a product not on sale is noticed.",
    "catalog_searchtext": "Made anew by manage.py index_products.",
    "core_platformcertificate": "Fetched anew every twelve hours, and verified with each signature.",
}

# Of every other table: its columns by what they are about.
COLUMNS: Final[dict[str, dict[str, str]]] = {
    "orders_claimedcoupon": {
        "stock": "nth",
        "owner": "coupon_id user_id",
        "due": "valid_from valid_until used_at",
        "other": "claimed_at",
    },
    "orders_order": {
        "money": "goods_fen freight_fen discount_fen freight_discount_fen payable_fen",
        "state": "status",
        "owner": "number user_id claimed_coupon_id phone_hash phone_tail_hash",
        "due": "placed_at pay_before paid_at shipped_at completed_at cancelled_at",
        "other": (
            "note recipient phone province city district detail region_code placed_on cancel_reason "
            "reminded_at hidden_at staff_note is_flagged reviewed_at"
        ),
    },
    "orders_orderline": {
        "money": "unit_fen discount_fen refunded_fen",
        "stock": "quantity refunded_quantity released_quantity shipped_quantity",
        "owner": "order_id sku_id product_id",
        "other": "name sku_code options picture reviewed_at",
    },
    "orders_orderevent": {
        "state": "kind from_status to_status",
        "owner": "order_id event_key user_id",
        "other": "actor note created_at",
    },
    "orders_payment": {
        "money": "amount_fen",
        "state": "channel open_key status is_applied",
        "owner": "order_id app_id merchant_id number payer_id transaction_id",
        "due": "due_at paid_at voided_at billed_on",
        "other": "attempts last_error prepay_id prepay_until checked_at created_at",
    },
    "orders_refund": {
        "money": "amount_fen freight_fen",
        "state": "status kind is_amount_fixed is_shipped method is_to_shop decision",
        "owner": (
            "order_id payment_id number out_refund_no decided_by_id first_approved_by_id "
            "opened_by_id platform_id"
        ),
        "due": "due_at decided_at sent_at succeeded_at billed_on",
        "other": (
            "attempts last_error reason images return_carrier return_tracking "
            "payout_reference platform_status platform_reason created_at"
        ),
    },
    "orders_refundline": {
        "money": "claimed_fen amount_fen",
        "stock": "quantity",
        "owner": "refund_id line_id",
    },
    "orders_refundattempt": {
        "owner": "refund_id out_refund_no",
        "other": "platform_id platform_status ended_at",
    },
    "orders_refundapproval": {
        "state": "step open_key",
        "owner": "refund_id proposed_by_id confirmed_by_id",
        "due": "confirmed_at dropped_at",
        "other": "note card_hash card_tail proposed_at",
    },
    "orders_notice": {
        "state": "channel outcome",
        "owner": "payment_id",
        "due": "due_at processed_at",
        "other": "attempts last_error notice_id event_type headers body content note received_at",
    },
    "orders_bill": {
        "money": "paid_fen refunded_fen other_fen",
        "state": "channel",
        "owner": "merchant_id app_id accepted_by_id",
        "due": "due_at compared_at agreed_at accepted_at",
        "other": "attempts last_error day row_count other_count note",
    },
    "orders_billdifference": {
        "money": "theirs_fen ours_fen",
        "state": "channel kind is_refund status resolution",
        "owner": (
            "merchant_id app_id bill_id notice_id payment_id number transaction_id "
            "first_approved_by_id resolved_by_id"
        ),
        "due": "found_at resolved_at",
        "other": "payment_number note first_approved_for",
    },
    "orders_ledgertransaction": {
        "owner": "event_key order_id",
        "due": "posted_at posted_on",
    },
    "orders_ledgerentry": {
        "money": "amount_fen",
        "state": "account",
        "owner": "transaction_id",
    },
    "orders_dailytotal": {
        "money": "sale_fen back_fen hours",
        "other": "day placed_count sale_count payer_count computed_at",
    },
    "orders_dailyproduct": {
        "money": "goods_fen",
        "stock": "pieces",
        "owner": "product_id",
        "other": "day",
    },
    "orders_shipment": {
        "owner": "order_id carrier_id",
        "due": "shipped_at",
        "other": "tracking_number",
    },
    "orders_shipmentline": {
        "stock": "quantity",
        "owner": "shipment_id line_id",
    },
    "catalog_product": {
        "money": "price_fen market_price_fen",
        "stock": "sales_count in_stock",
        "state": "status",
        "owner": "category_id brand_id freight_template_id",
        "other": "name subtitle cover detail_html purchase_limit published_at tags attributes updated_at",
    },
    "catalog_sku": {
        "money": "price_fen market_price_fen",
        "stock": "stock",
        "owner": "product_id",
        "other": "code options weight_g picture is_active",
    },
    "catalog_stockmovement": {
        "stock": "delta",
        "state": "kind",
        "owner": "sku_id reference event_key",
        "other": "note created_at",
    },
    "catalog_review": {
        "state": "is_visible moderation",
        "owner": "product_id sku_id user_id reference",
        "other": (
            "rating text images has_images is_anonymous written_at created_at follow_up "
            "follow_up_images followed_up_at reply replied_at"
        ),
    },
    "catalog_reviewsummary": {
        "stock": "stars_1 stars_2 stars_3 stars_4 stars_5 with_images",
        "owner": "product_id",
    },
    "accounts_user": {
        "owner": "avatar_id phone_hash phone_tail_hash",
        "other": (
            "password last_login is_superuser email is_staff is_active date_joined username nickname "
            "is_avatar_shown phone"
        ),
    },
    "accounts_identity": {
        "owner": "user_id app_id openid",
        "other": "platform unionid session_key created_at",
    },
    "accounts_session": {
        "owner": "user_id identity_id",
        "due": "revoked_at",
        "other": "id refresh_hash previous_hash device created_at rotated_at",
    },
    "accounts_address": {
        "owner": "user_id phone_hash phone_tail_hash",
        "other": "recipient phone province city district detail region_code is_default created_at",
    },
    "core_outboxmessage": {
        "state": "lane",
        "owner": "event_key",
        "due": "due_at done_at",
        "other": "attempts last_error topic payload created_at",
    },
    "core_joblease": {
        "due": "due_at finished_at",
        "other": "attempts last_error name started_at",
    },
    "core_task": {
        "state": "kind",
        "owner": "user_id",
        "due": "due_at finished_at",
        "other": "attempts last_error params source report total done counts created_at",
    },
    "core_idempotencykey": {
        "state": "kind",
        "owner": "user_id object_id",
        "other": "location key request_hash created_at",
    },
    "core_upload": {
        "owner": "user_id",
        "other": "id purpose file width height created_at",
    },
}

# Weighty columns that may differ unnoticed, all or in part, with the reason.
EXCUSED: Final[dict[tuple[str, str], str]] = {
    (
        "orders_order",
        "pay_before",
    ): "Of an order that is paid or closed it has done its work; of an unpaid one it is noticed.",
    (
        "orders_refund",
        "is_amount_fixed",
    ): "Says only whether staff typed the amount; the amount itself is noticed.",
    (
        "orders_refund",
        "first_approved_by_id",
    ): "Which of the staff agreed first is known to the history of the back office only.",
    (
        "orders_refund",
        "opened_by_id",
    ): "Which of the staff began it, or a customer, is known to the history of the back office only.",
    (
        "orders_refund",
        "platform_id",
    ): "Only the platform knows which it is; a refund that it paid and that has none is noticed.",
    (
        "orders_refund",
        "decision",
    ): "What staff typed is the truth; a refund that was rejected without a word is noticed.",
    (
        "orders_refundattempt",
        "out_refund_no",
    ): "Another number of the same payment; the platform alone knows which it closed.",
    (
        "orders_refundapproval",
        "proposed_by_id",
    ): "Which of the staff proposed it is known to the history of the back office only.",
    (
        "orders_shipment",
        "carrier_id",
    ): "Carriers are renamed, so the name in the order's book may differ from today's.",
    (
        "orders_billdifference",
        "transaction_id",
    ): "Of money that is not ours only the platform knows it.",
    (
        "orders_billdifference",
        "first_approved_by_id",
    ): "Which of the staff agreed first is known to the history of the back office only.",
    (
        "orders_billdifference",
        "found_at",
    ): "When a person first could look at it; nothing was written beside it.",
    (
        "orders_billdifference",
        "bill_id",
    ): "A difference may be told by an answer or a notice before any bill.",
    (
        "orders_billdifference",
        "notice_id",
    ): "A difference may be told by an answer or a bill without any notice.",
    (
        "core_joblease",
        "finished_at",
    ): "A report for the back office; what runs next is decided by due_at, which is noticed.",
    ("core_task", "kind"): "What staff asked for is known to the row alone.",
    (
        "core_upload",
        "user_id",
    ): "Of a picture that nothing refers to nobody knows the owner; of one in use it is noticed.",
    (
        "accounts_session",
        "revoked_at",
    ): "A device that may log in again must still have its secret token; a banned customer's is noticed.",
    (
        "accounts_identity",
        "openid",
    ): "Only the platform knows it: the next login makes a new customer, and the old one complains.",
    (
        "orders_claimedcoupon",
        "coupon_id",
    ): "Two copies of coupons with the same terms, of one customer, are worth the same.",
    (
        "catalog_product",
        "brand_id",
    ): "What staff typed is the truth: there is nothing to compare it with.",
    (
        "catalog_product",
        "freight_template_id",
    ): "What staff typed is the truth: there is nothing to compare it with.",
    (
        "core_idempotencykey",
        "kind",
    ): "A kind that no rule knows is looked at by none; of orders, refunds and coupons it is noticed.",
    (
        "orders_notice",
        "processed_at",
    ): "Two notices of one minute may have been processed at each other's moments.",
    ("orders_billdifference", "payment_id"): "Its payment is found by its number, too.",
    (
        "catalog_product",
        "sales_count",
    ): "A shop may have sold before it began to count; fewer than were sold here are noticed.",
    (
        "catalog_sku",
        "price_fen",
    ): "What staff typed is the truth; the lowest of a product's prices is noticed.",
    (
        "accounts_user",
        "avatar_id",
    ): "A customer may take the avatar away; another customer's picture is noticed.",
    ("core_outboxmessage", "event_key"): "What follows its number only makes it unique.",
    ("core_joblease", "due_at"): "A job that is due a little earlier or later does no harm.",
    ("core_task", "user_id"): "Which of the staff asked for it is known to the row alone.",
    ("core_task", "due_at"): "A task that staff have prepared and not begun has none.",
    (
        "core_outboxmessage",
        "lane",
    ): "Any lane that there is delivers it; one that there is none of is noticed.",
    (
        "accounts_identity",
        "app_id",
    ): "Of one that has paid it is noticed; else only the platform knows it.",
}
