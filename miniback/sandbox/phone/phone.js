/* The mini program that the sandbox's phone runs: every call to the shop goes through miniback.js. */
(async function () {
  "use strict";

  const $ = (id) => document.getElementById(id);
  const STATES = {
    pending_payment: "等待付款", paid: "已付款，待发货", partly_shipped: "部分发货",
    shipped: "已发货", completed: "已完成", cancelled: "已取消",
  };
  const REFUNDS = {
    requested: "等待商家处理", approved: "退款中", returning: "请寄回商品", processing: "退款中",
    succeeded: "已退回", failed: "退款中", rejected: "商家已拒绝", withdrawn: "已撤回",
  };
  const PROBLEMS = { off_sale: "已下架", out_of_stock: "库存不足", over_limit: "超出限购", not_delivered: "不配送到此地区" };
  const REASONS = {
    not_yet_valid: "未到生效时间", out_of_scope: "不适用于这些商品", below_threshold: "未达到满额", no_freight: "没有运费可免",
  };
  const PLATFORMS = { wechat: "微信", alipay: "支付宝", douyin: "抖音" };
  const PEOPLE = "phone:person:";

  const config = await (await fetch("/phone/config/")).json();
  let platform = "wechat";
  let shop = null;
  let history = [];
  let timer = null;

  // Small things

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }

  const yuan = (fen) => (fen / 100).toFixed(2);
  const price = (fen) => el("span", { class: "price" }, yuan(fen));
  const picture = (url, kind) => el("img", { class: kind, src: url || "data:,", alt: "", loading: "lazy" });
  const optionsText = (options) => Object.values(options).join("，");
  const clock = (moment) => new Date(moment).toLocaleTimeString("zh-CN", { hour12: false });

  function toast(text) {
    $("toast").textContent = text;
    $("toast").hidden = false;
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => ($("toast").hidden = true), 2600);
  }

  /** Run what a button does, once at a time; a refusal is shown, never swallowed. */
  function guarded(act) {
    return async (event) => {
      const button = event.currentTarget;
      if (event.type === "submit") event.preventDefault();
      if (button.dataset.busy) return;
      button.dataset.busy = "1";
      try {
        await act(event);
      } catch (error) {
        if (error && error.errMsg) toast(error.errMsg.includes("cancel") ? "已取消支付" : error.errMsg);
        else toast((error && error.detail) || String(error));
      } finally {
        delete button.dataset.busy;
      }
    };
  }

  function button(kind, text, act, more) {
    return el("button", { class: kind, type: "button", onclick: guarded(act), ...more }, text);
  }

  // Screens: each is a function that fills the page

  async function show(screen, ...args) {
    clearInterval(timer);
    $("screen").replaceChildren();
    $("action").replaceChildren();
    $("action").hidden = true;
    $("back").hidden = history.length < 2;
    try {
      await screen(...args);
    } catch (error) {
      $("screen").append(el("div", { class: "empty" }, (error && error.detail) || String(error),
        button("second", "再试一次", () => show(screen, ...args))));
    }
    $("screen").scrollTop = 0;
  }

  function open(screen, ...args) {
    history.push([screen, args]);
    return show(screen, ...args);
  }

  function tab(name) {
    history = [];
    for (const node of document.querySelectorAll("[data-tab]")) {
      node.toggleAttribute("aria-current", node.dataset.tab === name);
    }
    return open({ home, cart, orders, me }[name]);
  }

  function title(text) {
    $("title").textContent = text;
  }

  function actions(...nodes) {
    $("action").replaceChildren(...nodes);
    $("action").hidden = false;
  }

  async function badge() {
    const { count } = await shop.request("GET", "cart/count/");
    $("badge").textContent = count > 99 ? "99+" : count;
    $("badge").hidden = !count;
  }

  async function home(filter = {}) {
    title("商城");
    const tree = await shop.request("GET", "categories/");
    const search = el("input", {
      class: "search", type: "search", placeholder: "搜索商品", "aria-label": "搜索商品", value: filter.search || "",
    });
    search.addEventListener("change", () => show(home, { ...filter, search: search.value.trim() }));
    const chips = [{ id: undefined, name: "全部" }, ...tree.results].map((category) =>
      button("", category.name, () => show(home, { ...filter, category: category.id }), {
        "aria-pressed": String(filter.category === category.id),
      }));
    const grid = el("div", { class: "grid" });
    const more = button("second wide", "更多", () => load());
    let cursor = null;
    async function load() {
      const page = await shop.request("GET", "products/", { ...filter, cursor });
      grid.append(...page.results.map(productCard));
      cursor = page.next_cursor;
      more.hidden = !cursor;
      if (!grid.children.length) grid.replaceWith(el("div", { class: "empty" }, "没有找到商品，换个词试试"));
    }
    $("screen").append(search,
      el("div", { class: "hero" }, el("strong", {}, "今天想买点什么？"), "产地直发 · 七天无理由"),
      el("div", { class: "chips" }, chips), grid, el("p", {}, el("br")), more);
    await load();
  }

  function productCard(product) {
    return el("button", { class: product.in_stock ? "product" : "product out", onclick: guarded(() => open(detail, product.id)) },
      picture(product.cover_url),
      el("div", {}, el("h3", {}, product.name), el("span", { class: "soft" }, product.in_stock ? product.subtitle : "已售罄"),
        el("span", {}, price(product.price_fen),
          product.market_price_fen && el("span", { class: "was" }, "¥" + yuan(product.market_price_fen)))));
  }

  async function detail(id) {
    title("商品");
    const product = await shop.request("GET", `products/${id}/`);
    const chosen = {};
    let quantity = 1;
    const sku = () => product.skus.find((one) => Object.entries(chosen).every(([name, value]) => one.options[name] === value));
    for (const option of product.options) chosen[option.name] = (product.skus.find((one) => one.stock) || product.skus[0]).options[option.name];
    const figures = el("div", { class: "card" });
    const chooser = el("div", { class: "card" });
    function draw() {
      const one = sku();
      figures.replaceChildren(price(one ? one.price_fen : product.price_fen),
        el("h2", {}, product.name), el("p", { class: "soft" }, product.subtitle),
        el("p", { class: "soft" }, `已售 ${product.sales_count} · ${one ? `库存 ${one.stock}` : "没有这个组合"}`));
      chooser.replaceChildren(
        ...product.options.flatMap((option) => [el("h3", {}, option.name),
          el("div", { class: "choices" }, option.values.map((value) =>
            button("", value, () => { chosen[option.name] = value; draw(); }, { "aria-pressed": String(chosen[option.name] === value) })))]),
        el("div", { class: "row" }, el("span", { class: "grow" }, "数量"), stepper(quantity, (now) => { quantity = now; draw(); })));
      const out = !one || one.stock < quantity;
      actions(el("span", { class: "total" }, out ? "库存不足" : ""),
        button("second", "加入购物车", async () => {
          await shop.request("POST", "cart/lines/", { sku: one.id, quantity });
          toast("已加入购物车");
          await badge();
        }, { disabled: out }),
        button("primary", "立即购买", () => open(confirm, { lines: [{ sku: one.id, quantity }] }), { disabled: out }));
    }
    draw();
    const words = el("div", { class: "card" }, el("h3", {}, "商品详情"));
    words.insertAdjacentHTML("beforeend", product.detail_html);
    $("screen").append(picture(product.images[0] || product.cover_url, "gallery"), figures, chooser, words);
  }

  function stepper(value, change) {
    return el("span", { class: "stepper" },
      el("button", { "aria-label": "减少", disabled: value <= 1, onclick: guarded(() => change(value - 1)) }, "−"),
      el("output", {}, String(value)),
      el("button", { "aria-label": "增加", disabled: value >= 999, onclick: guarded(() => change(value + 1)) }, "+"));
  }

  async function cart() {
    title("购物车");
    const { lines, goods_fen: goods } = await shop.request("GET", "cart/");
    await badge();
    if (!lines.length) {
      $("screen").append(el("div", { class: "empty" }, "购物车是空的", button("primary", "去逛逛", () => tab("home"))));
      return;
    }
    const change = async (line, quantity, isSelected) => {
      await shop.request("PUT", `cart/lines/${line.id}/`, { quantity, is_selected: isSelected });
      await show(cart);
    };
    $("screen").append(...lines.map((line) => el("div", { class: "card row" },
      el("input", { type: "checkbox", checked: line.is_selected, "aria-label": "选择 " + line.name,
        onchange: guarded(() => change(line, line.quantity, !line.is_selected)) }),
      picture(line.image_url, "thumb"),
      el("div", { class: "grow" }, el("h3", {}, line.name), el("p", { class: "soft" }, optionsText(line.options)),
        line.problem && el("p", { class: "warn" }, PROBLEMS[line.problem]),
        el("div", { class: "row" }, el("span", { class: "grow" }, price(line.price_fen)), stepper(line.quantity, (now) => change(line, now, line.is_selected)),
          el("button", { class: "soft", onclick: guarded(async () => { await shop.request("DELETE", `cart/lines/${line.id}/`); await show(cart); }) }, "删除"))))));
    actions(el("span", { class: "total" }, "合计 ", price(goods)),
      button("primary", "去结算", () => open(confirm, { from_cart: true }), { disabled: !lines.some((line) => line.is_selected) }));
  }

  async function confirm(what) {
    title("确认订单");
    const { results } = await shop.request("GET", "addresses/");
    const address = results.find((one) => one.is_default) || results[0];
    const quote = await shop.request("POST", "orders/quote/", { ...what, address: address && address.id });
    const best = quote.coupons.find((one) => !one.reason);
    if (best && what.coupon === undefined) return show(confirm, { ...what, coupon: best.id });
    const key = shop.newKey();
    const note = el("input", { maxlength: 200, placeholder: "选填，给商家留言" });
    $("screen").append(
      address
        ? el("button", { class: "card row wide", onclick: guarded(() => open(addressForm)) },
          el("div", { class: "grow", style: "text-align:left" }, el("strong", {}, `${address.recipient} ${address.phone}`),
            el("p", { class: "soft" }, `${address.province}${address.city}${address.district}${address.detail}`)), "›")
        : el("div", { class: "card" }, el("p", { class: "soft" }, "还没有收货地址"), button("primary wide", "添加收货地址", () => open(addressForm))),
      el("div", { class: "card" }, quote.lines.map((line) => orderLine(line, quote.problems.find((one) => one.sku === line.sku)))),
      quote.coupons.length > 0 && el("div", { class: "card fields" }, el("label", {}, "优惠券", couponList(quote, what))),
      el("div", { class: "card fields" }, el("label", {}, "备注", note)),
      el("div", { class: "card" }, amounts(quote)));
    actions(el("span", { class: "total" }, "应付 ", price(quote.payable_fen)),
      button("primary", "提交订单", async () => {
        const order = await shop.placeOrder(key, { ...what, address: address.id, note: note.value, payable_fen: quote.payable_fen });
        await badge();
        history = [[orders, []]];
        await open(orderPage, order.number);
        if (order.actions.includes("pay")) await payOrder(order.number);
      }, { disabled: !address || quote.problems.length > 0 }));
  }

  /** The customer's coupons, the usable ones with what they save, the others with the reason. */
  function couponList(quote, what) {
    const choose = guarded((event) => show(confirm, { ...what, coupon: Number(event.target.value) || null }));
    const option = (one) => el("option", { value: one.id, disabled: Boolean(one.reason), selected: one.id === what.coupon },
      `${one.name} ${one.reason ? REASONS[one.reason] || one.reason : "减 ¥" + yuan(one.saves_fen)}`);
    return el("select", { onchange: choose }, el("option", { value: "", selected: !what.coupon }, "不使用"), ...quote.coupons.map(option));
  }

  function orderLine(line, problem) {
    return el("div", { class: "row", style: "margin-bottom:10px" }, picture(line.image_url, "thumb"),
      el("div", { class: "grow" }, el("h3", {}, line.name), el("p", { class: "soft" }, optionsText(line.options)),
        problem && el("p", { class: "warn" }, PROBLEMS[problem.code] || problem.code)),
      el("div", { style: "text-align:right" }, price(line.unit_fen), el("p", { class: "soft" }, "×" + line.quantity)));
  }

  function amounts(order) {
    const rows = [["商品", order.goods_fen, "¥"], ["运费", order.freight_fen, "¥"], ["优惠", order.discount_fen, "-¥"]];
    return rows.map(([name, fen, sign]) => el("div", { class: "row soft" }, el("span", { class: "grow" }, name), sign + yuan(fen)));
  }

  async function addressForm() {
    title("收货地址");
    const names = { recipient: "收货人", phone: "手机号", province: "省", city: "市", district: "区", detail: "详细地址" };
    const sample = { recipient: "李明", phone: "13812345678", province: "浙江省", city: "杭州市", district: "西湖区", detail: "文三路 100 号 3 幢 502" };
    const field = (name) => el("label", {}, names[name], el("input", { name, value: sample[name], required: true }));
    const form = el("form", { class: "card fields", onsubmit: guarded(async () => {
      const values = Object.fromEntries(new FormData(form));
      await shop.request("POST", "addresses/", { ...values, is_default: true });
      history.pop();
      const [screen, args] = history[history.length - 1];
      await show(screen, ...args);
    }) }, field("recipient"), field("phone"),
    el("div", { class: "two" }, field("province"), field("city"), field("district")), field("detail"),
    el("button", { class: "primary wide" }, "保存"));
    $("screen").append(form);
  }

  async function orders(status) {
    title("我的订单");
    const choices = [["", "全部"], ["pending_payment", "待付款"], ["paid", "待发货"], ["shipped", "待收货"], ["completed", "已完成"]];
    $("screen").append(el("div", { class: "chips" }, choices.map(([value, name]) =>
      button("", name, () => show(orders, value), { "aria-pressed": String((status || "") === value) }))));
    const page = await shop.request("GET", "orders/", status ? { status } : {});
    if (!page.results.length) $("screen").append(el("div", { class: "empty" }, "还没有订单"));
    $("screen").append(...page.results.map((order) =>
      el("div", { class: "card" }, el("div", { class: "row" }, el("span", { class: "grow soft" }, order.number), el("strong", {}, STATES[order.status])),
        order.lines.map((line) => orderLine(line)),
        el("div", { class: "row" }, el("span", { class: "grow" }, "共 ", price(order.payable_fen)), button("second", "查看", () => open(orderPage, order.number))))));
  }

  async function orderPage(number) {
    title("订单详情");
    let seen = "";
    async function refresh() {
      const order = await shop.request("GET", `orders/${number}/`);
      if (JSON.stringify(order) !== seen) draw(order);
      seen = JSON.stringify(order);
    }
    await refresh();
    clearInterval(timer);
    // The status changes while one looks: a notice arrives, staff ship it.
    timer = setInterval(() => refresh().catch(() => undefined), 1500);

    function draw(order) {
      // As long as the page shows the same, a second tap asks for the same refund.
      const [address, refundKey] = [order.address, shop.newKey()];
      $("screen").replaceChildren(
        el("div", { class: "banner" }, el("div", { class: "state", "data-status": order.status }, STATES[order.status]),
          el("p", { class: "soft" }, order.status === "pending_payment" ? `请在 ${clock(order.pay_before)} 前付款` : order.cancel_reason || "感谢惠顾")),
        ...order.shipments.map((parcel) => el("div", { class: "card" }, el("h3", {}, "物流"), `${parcel.carrier} ${parcel.tracking_number}`)),
        ...order.refunds.map((refund) => el("div", { class: "card" }, el("h3", {}, "退款"), `¥${yuan(refund.amount_fen)} ${REFUNDS[refund.status]}`)),
        el("div", { class: "card" }, el("strong", {}, `${address.recipient} ${address.phone}`), el("p", { class: "soft" }, `${address.province}${address.city}${address.district}${address.detail}`)),
        el("div", { class: "card" }, order.lines.map((line) => orderLine(line)), amounts(order), el("div", { class: "row" }, el("span", { class: "grow" }, "实付"), price(order.payable_fen))),
        el("div", { class: "card" }, el("h3", {}, "订单进度"), el("ol", { class: "timeline" }, [...order.events].reverse().map((event) =>
          el("li", {}, STATES[event.to_status], el("span", { class: "soft" }, `  ${clock(event.created_at)} ${event.note}`))))),
        el("p", { class: "soft" }, "订单号 " + order.number));
      const can = order.actions;
      $("action").hidden = !can.length;
      $("action").replaceChildren(el("span", { class: "total" }),
        can.includes("cancel") && button("second", "取消订单", async () => { await shop.request("POST", `orders/${number}/cancel/`, { reason: "不想买了" }); await refresh(); }),
        can.includes("pay") && button("primary", "去支付", () => payOrder(number)),
        can.includes("refund") && button("second", "申请退款", () => askForRefund(refundKey, order)),
        can.includes("confirm_receipt") && button("primary", "确认收货", async () => { await shop.request("POST", `orders/${number}/confirm-receipt/`); await refresh(); }));
      for (const node of [...$("action").childNodes]) if (node.nodeType === 3) node.remove();
    }
  }

  /** Everything that is left of the order, without sending it back. */
  async function askForRefund(key, order) {
    const lines = order.lines.map((line) => ({ line: line.id, quantity: line.quantity - line.refunded_quantity }));
    const left = lines.filter((line) => line.quantity > 0);
    if (!left.length) return toast("没有可退的商品");
    await shop.askRefund(key, order.number, { lines: left, kind: "refund_only", reason: "不想要了", images: [] });
    return toast("已提交退款申请");
  }

  async function payOrder(number) {
    if (platform === "douyin") return toast("抖音支付不在这个沙箱里，请换微信或支付宝");
    try {
      await shop.subscribe(["paid", "shipped", "refunded"]);
      await shop.pay(number);
      toast("支付成功");
    } catch (error) {
      if (!error.errMsg) throw error;
      toast("已取消支付");
    }
    return undefined;
  }

  async function me() {
    title("我的");
    const profile = await shop.request("GET", "me/");
    const name = el("input", { name: "nickname", value: profile.nickname, maxlength: 32, placeholder: "起个名字" });
    $("screen").append(
      el("div", { class: "banner" }, el("div", { class: "state" }, profile.nickname || PLATFORMS[platform] + "用户"),
        el("p", { class: "soft" }, `顾客编号 ${profile.id} · ${profile.phone || "未绑定手机号"}`)),
      el("form", { class: "card fields", onsubmit: guarded(async () => {
        await shop.request("PUT", "me/", { nickname: name.value, avatar: null });
        toast("已保存");
        await show(me);
      }) }, el("label", {}, "昵称", name), el("button", { class: "primary" }, "保存")),
      el("div", { class: "card stack" },
        platform !== "douyin" && button("second wide", "绑定手机号", bindPhone),
        button("second wide", "添加收货地址", () => open(addressForm))),
      ...await coupons());
  }

  /** What the platform's phone button gives goes to the shop. */
  async function bindPhone() {
    const body = JSON.stringify({ openid: $("person").value, phone: "13800138000" });
    const given = await (await fetch(`/phone/${platform}/phone-number/`, { method: "POST", body })).json();
    await shop.bindPhone(platform === "wechat" ? { code: given.code } : { response: given.response, sign: given.sign });
    toast("已绑定手机号");
    await show(me);
  }

  /** Mine, and those that can be claimed. */
  async function coupons() {
    const [mine, offers] = await Promise.all([shop.request("GET", "coupons/mine/"), shop.request("GET", "coupons/")]);
    const terms = (one) => (one.threshold_fen ? `满 ¥${yuan(one.threshold_fen)} 可用` : "无门槛");
    const row = (one, right) => el("div", { class: "card row" },
      el("div", { class: "grow" }, el("h3", {}, one.name), el("p", { class: "soft" }, terms(one))), right);
    const claim = (one) => button("second", "领取", async () => {
      await shop.request("POST", `coupons/${one.id}/claim/`, {});
      toast("已领取");
      await show(me);
    });
    return [...mine.results.map((one) => row(one, el("span", { class: "soft" }, "已领取"))),
      ...offers.results.filter((one) => one.may_claim).map((one) => row(one, claim(one)))];
  }

  // The platform's own windows

  wx.sandbox.askToPay = my.sandbox.askToPay = async (request) => {
    const bill = await (await fetch(request.bill)).json();
    const password = el("input", { type: "password", inputmode: "numeric", maxlength: 6, value: "123456", "aria-label": "支付密码" });
    const problem = el("p", { class: "warn", role: "alert" });
    const close = (then) => () => { $("sheet").hidden = true; then(); };
    $("sheet").replaceChildren(el("div", {}, el("p", { class: "soft" }, `${PLATFORMS[platform]}支付 · 沙箱`), el("div", { class: "amount" }, "¥" + yuan(bill.amount_fen)),
      el("p", { class: "soft" }, bill.description), password, el("p", { class: "soft" }, "密码 123456；改成别的试试"), problem,
      button("primary", "确认支付", async () => {
        const { ok, body } = await request.pay(password.value);
        if (ok) close(request.paid)();
        else problem.textContent = body.error;
      }),
      el("button", { class: "second", onclick: close(request.cancelled) }, "取消")));
    $("toast").hidden = true;
    $("sheet").hidden = false;
    password.focus();
  };

  wx.sandbox.askToSubscribe = (request) => {
    const boxes = request.ids.map((id) => el("input", { type: "checkbox", value: id, checked: true }));
    const close = (agreed) => { $("sheet").hidden = true; return request.answer(agreed); };
    const agree = guarded(() => close(boxes.filter((box) => box.checked).map((box) => box.value)));
    $("sheet").replaceChildren(el("div", {}, el("h3", {}, "允许发送以下订阅消息？"),
      ...boxes.map((box) => el("label", { class: "row" }, box, el("span", { class: "grow soft", style: "text-align:left" }, box.value))),
      el("button", { class: "primary", type: "button", onclick: agree }, "允许"),
      button("second", "拒绝", () => close([]))));
    $("toast").hidden = true;
    $("sheet").hidden = false;
  };

  // Who holds the phone

  async function hold(openid) {
    document.querySelector(".tabs").inert = true;
    localStorage.setItem(PEOPLE + platform, openid);
    wx.sandbox.openid = my.sandbox.openid = openid;
    wx.sandbox.platform = platform;
    // Douyin's tt is wx by another name.
    const object = platform === "alipay" ? miniback.fromAlipay(my) : wx;
    shop = miniback.createShop({ wx: object, platform, baseUrl: config.shop_url + "/api/v1" });
    await shop.login();
    await Promise.all([badge(), shop.loadMessages()]);
    await tab("home");
    // Before this a tab would ask a shop that nobody is logged in to.
    document.querySelector(".tabs").inert = false;
  }

  async function people(selected) {
    const list = (await (await fetch(`/phone/${platform}/people/`)).json()).people;
    $("person").replaceChildren(...list.map((one, index) =>
      el("option", { value: one.openid, selected: one.openid === selected }, one.name || `顾客 ${index + 1}`)));
    return list;
  }

  async function newPerson() {
    const name = "顾客 " + ($("person").options.length + 1);
    const answer = await fetch(`/phone/${platform}/login/`, { method: "POST", body: JSON.stringify({ name }) });
    const { openid } = await answer.json();
    await people(openid);
    await hold(openid);
  }

  async function pickUp() {
    const last = localStorage.getItem(PEOPLE + platform);
    const known = await people(last);
    const person = known.find((one) => one.openid === last) || known[0];
    if (person) await hold(person.openid);
    else await newPerson();
  }

  $("back").addEventListener("click", () => { history.pop(); const [screen, args] = history[history.length - 1]; show(screen, ...args); });
  $("person").addEventListener("change", guarded(() => hold($("person").value)));
  $("new-person").addEventListener("click", guarded(newPerson));
  for (const node of document.querySelectorAll("[data-tab]")) node.addEventListener("click", () => tab(node.dataset.tab));
  $("platform").addEventListener("change", guarded(() => {
    platform = $("platform").value;
    return pickUp();
  }));
  $("admin").href = config.shop_url + "/admin/";

  try {
    await pickUp();
  } catch (error) {
    $("screen").append(el("div", { class: "empty" }, `商城没有回答（${config.shop_url}）。`, String((error && error.detail) || error)));
  }
})();
