"""Every platform's real paths, and the control side beside them."""

from django.urls import path

from miniback.sandbox import (
    alipay,
    bills,
    console,
    douyin,
    phone,
    refunds,
    shipping,
    wechat,
    wechat_api,
    wechatpay,
)
from miniback.sandbox.phone import posting

TRADES, REFUNDS = "v3/pay/transactions", "v3/refund/domestic/refunds"

urlpatterns = [
    # api.weixin.qq.com
    path("sns/jscode2session", wechat.jscode2session),
    path("cgi-bin/token", wechat.plain_token),
    path("cgi-bin/stable_token", wechat.stable_token),
    path("wxa/business/getuserphonenumber", wechat_api.phone_number),
    path("wxa/checksession", wechat_api.check_session),
    path("wxa/resetusersessionkey", wechat_api.reset_session),
    path("wxa/msg_sec_check", wechat_api.check_text),
    path("wxa/media_check_async", wechat_api.check_media),
    path("cgi-bin/message/subscribe/send", wechat_api.send_message),
    path("wxaapi/newtmpl/gettemplate", wechat_api.list_templates),
    path("wxa/getwxacodeunlimit", wechat_api.code_image),
    path("wxa/sec/order/upload_shipping_info", shipping.upload),
    path("wxa/sec/order/get_order", shipping.get_order),
    path("wxa/sec/order/get_order_list", shipping.get_order_list),
    path("wxa/sec/order/notify_confirm_receive", shipping.remind_to_confirm),
    path("wxa/sec/order/is_trade_managed", shipping.is_managed),
    # api.mch.weixin.qq.com
    path("v3/certificates", wechatpay.list_certificates),
    path(f"{TRADES}/jsapi", wechatpay.place),
    path(f"{TRADES}/out-trade-no/<str:out_trade_no>", wechatpay.query),
    path(f"{TRADES}/id/<str:transaction_id>", wechatpay.query),
    path(f"{TRADES}/out-trade-no/<str:out_trade_no>/close", wechatpay.close),
    path(REFUNDS, refunds.refund),
    path(f"{REFUNDS}/<str:out_refund_no>", refunds.query_refund),
    path(f"{REFUNDS}/<str:refund_id>/apply-abnormal-refund", refunds.redirect_refund),
    path("v3/bill/tradebill", bills.tradebill),
    path("v3/billdownload/file", bills.download),
    # openapi.alipay.com
    path("gateway.do", alipay.gateway),
    path("alipay/bill", bills.alipay_download),
    # developer.toutiao.com
    path("api/apps/v2/jscode2session", douyin.jscode2session),
    # control
    path("ledger/", phone.ledger),
    path("notifications/", phone.notifications),
    path("notifications/<str:notification_id>/resend/", posting(phone.resend)),
    path("faults/", phone.manage_faults),
    path("clock/", posting(phone.move_clock)),
    path("certificates/rotate/", posting(phone.rotate_certificate)),
    path("reset/", posting(phone.reset)),
    path("console/alipay/finish/", posting(console.finish_trade)),
    path("console/<str:platform>/refunds/", posting(console.refund)),
    path("console/<str:platform>/balance/", posting(console.set_balance)),
    path("console/<str:platform>/age/", posting(console.age_trade)),
    # the phone
    path("phone/config/", phone.config),
    path("phone/alipay/phone-number/", posting(phone.phone_number_by_alipay)),
    path("phone/alipay/bill/", phone.bill_by_alipay),
    path("phone/alipay/pay/", posting(phone.pay_by_alipay)),
    path("phone/wechat/phone-number/", posting(phone.phone_number)),
    path("phone/wechat/consents/", posting(phone.consent)),
    path("phone/wechat/messages/", phone.messages),
    path("phone/wechat/parcels/", phone.parcels),
    path("phone/wechat/confirm-receipt/", posting(phone.confirm_receipt)),
    path("phone/<str:platform>/people/", phone.people),
    path("phone/<str:platform>/login/", posting(phone.log_in)),
    path("phone/wechat/bill/", phone.bill),
    path("phone/wechat/pay/", posting(phone.pay)),
    path("", phone.page),
    path("<str:name>", phone.page),
]
