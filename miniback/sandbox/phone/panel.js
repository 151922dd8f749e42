/* The platforms' side of the desk: what they sent, what they know, and how to make them misbehave. */
(async function () {
  "use strict";

  const config = await (await fetch("/phone/config/")).json();
  const yuan = (fen) => (fen / 100).toFixed(2);

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value);
    }
    node.append(...children.flat().filter(Boolean));
    return node;
  }

  const get = async (path) => (await fetch(path)).json();
  const post = async (path, body) => {
    const answer = await fetch(path, { method: "POST", body: JSON.stringify(body || {}) });
    const said = await answer.json();
    note.textContent = answer.ok ? "" : said.error || "没有成功";
    await redraw();
  };
  const holder = () => "?openid=" + encodeURIComponent(document.getElementById("person").value || "-");
  const item = (title, more, ...buttons) => el("li", {}, title, more && el("small", {}, more), ...buttons);
  const press = (text, act) => el("button", { class: "ghost small", type: "button", onclick: act }, text);

  const note = el("p", { class: "warn", role: "alert" });
  const lists = {};

  /** A folded list; `load` gives its rows. Redrawn only when something has changed. */
  function section(name, load, isOpen) {
    const list = el("ol", { class: "log" });
    lists[name] = { list, load, seen: "" };
    return el("details", isOpen ? { open: "" } : {}, el("summary", {}, name), list);
  }

  async function redraw() {
    for (const one of Object.values(lists)) {
      if (!one.list.parentElement.open) continue;
      const [rows, draw] = await one.load();
      const seen = JSON.stringify(rows);
      if (seen === one.seen) continue;
      one.seen = seen;
      one.list.replaceChildren(...(rows.length ? rows.map(draw) : [el("li", { class: "soft" }, "还没有")]));
    }
  }

  const notices = async () => [
    (await get("/notifications/")).notifications.slice(0, 12),
    (one) => item(one.event_type, `${one.resource.out_trade_no || one.resource.trace_id || ""} · 回答 ${one.answers.join(", ") || "等待"}`,
      press("重发", () => post(`/notifications/${one.id}/resend/`))),
  ];
  const messages = async () => [
    (await get("/phone/wechat/messages/" + holder())).messages,
    (one) => item(Object.values(one.data).join(" · "), `${one.template_id} → ${one.page}`),
  ];
  const parcels = async () => [
    (await get("/phone/wechat/parcels/" + holder())).orders,
    (one) => item(`¥${yuan(one.paid_amount)} ${["", "待发货", "已发货", "已确认收货", "已完成", "已退款"][one.order_state]}`,
      one.shipping.shipping_list.map((parcel) => `${parcel.express_company} ${parcel.tracking_no}`).join("，") || one.merchant_trade_no,
      one.order_state === 2 && press("在微信里确认收货", () => post("/phone/wechat/confirm-receipt/", { transaction_id: one.transaction_id }))),
  ];
  const payments = async () => [
    (await get("/ledger/")).payments.reverse().slice(0, 12),
    (one) => item(`¥${yuan(one.amount_fen)} ${one.state}`, `${one.platform} ${one.out_trade_no}`,
      press("在商户后台退还余款", () => post(`/console/${one.platform}/refunds/`, { out_trade_no: one.out_trade_no }))),
  ];
  const refunds = async () => [
    (await get("/ledger/")).refunds.reverse().slice(0, 12),
    (one) => item(`¥${yuan(one.amount_fen)} ${one.status}`, `${one.platform} ${one.out_refund_no}`),
  ];
  const waiting = async () => [
    (await get("/faults/")).faults,
    (one) => item(`${one.target} ${one.fault}`, one.times > 1000 ? "一直" : `还有 ${one.times} 次`),
  ];

  const choice = (name, label, values) => el("label", {}, label, el("select", { name }, values.map((value) => el("option", {}, value))));
  const form = el("form", { class: "fields", onsubmit: (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    post("/faults/", { ...given, times: given.times === "一直" ? "always" : Number(given.times) });
  } },
  choice("target", "对象", config.targets), choice("fault", "故障", config.faults),
  choice("times", "次数", ["1", "3", "10", "一直"]),
  el("button", { class: "ghost small" }, "注入故障"));
  const stop = press("全部恢复", async () => {
    await fetch("/faults/", { method: "DELETE" });
    await redraw();
  });
  const later = (text, seconds) => press(text, () => post("/clock/", { advance_seconds: seconds }));

  document.getElementById("panel").replaceChildren(
    el("h2", {}, "平台一侧"), note,
    section("发给商城的通知", notices, true),
    section("收到的订阅消息", messages),
    section("微信里的订单与包裹", parcels),
    section("收款", payments),
    section("退款", refunds),
    section("故障", waiting),
    el("details", {}, el("summary", {}, "捣乱"), form, stop,
      el("p", { class: "soft" }, "把平台的时钟拨快"), later("一小时", 3600), later("一天", 86400)));
  for (const one of document.querySelectorAll("#panel details")) one.addEventListener("toggle", () => redraw());
  setInterval(() => redraw().catch(() => undefined), 2000);
  await redraw();
})();
