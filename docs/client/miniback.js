/*
 * The client of a miniback shop, one file without dependencies. Copy it into your mini program:
 *
 *   const { createShop } = require("./miniback.js");
 *   const shop = createShop({ wx, baseUrl: "https://shop.example/api/v1" });
 *   await shop.login();
 *   const page = await shop.request("GET", "products/", { limit: 20 });
 *
 * In Alipay: createShop({ wx: fromAlipay(my), platform: "alipay", baseUrl }); in Douyin:
 * createShop({ wx: tt, platform: "douyin", baseUrl }).
 *
 * Every function returns a promise. A refusal rejects with a ShopError: match on `code`, show
 * `detail`. Network failures have the code "network".
 */
(function (root) {
  "use strict";

  class ShopError extends Error {
    constructor(status, body) {
      super(body.detail || "HTTP " + status);
      this.name = "ShopError";
      this.status = status;
      this.code = body.code || "unknown";
      this.detail = body.detail || this.message;
      this.fields = body.fields || {};
      this.retryAfter = body.retry_after || 0;
      this.body = body;
    }
  }

  /** What of `wx` this file uses, played by Alipay's `my`. */
  function fromAlipay(my) {
    const words = (error) => ({ errMsg: (error && (error.errorMessage || error.errMsg)) || "network" });
    return {
      getStorageSync: (key) => my.getStorageSync({ key }).data || "",
      setStorageSync: (key, data) => my.setStorageSync({ key, data }),
      removeStorageSync: (key) => my.removeStorageSync({ key }),
      login: ({ success, fail }) =>
        my.getAuthCode({ scopes: "auth_base", success: ({ authCode }) => success({ code: authCode }), fail }),
      request: ({ url, method, data, header, timeout, success, fail }) => {
        const answered = ({ data: text, status, headers }) => {
          let body = text;
          try {
            body = JSON.parse(text);
          } catch (error) {
            body = text;
          }
          success({ data: body, statusCode: status, header: headers });
        };
        my.request({
          url,
          method,
          // Objects go into the query of a GET; anything else must be text already.
          data: method === "GET" || data === undefined ? data : JSON.stringify(data),
          headers: header,
          timeout,
          // As "json" an empty answer would be a failure.
          dataType: "text",
          success: answered,
          // An answer of 400 and more counts as a failure there.
          fail: (error) => (error && error.status ? answered(error) : fail(words(error))),
        });
      },
      uploadFile: ({ url, filePath, name, formData, header, success, fail }) =>
        my.uploadFile({
          url, filePath, fileName: name, fileType: "image", formData, header,
          success: ({ data, statusCode }) => success({ data, statusCode: Number(statusCode) }),
          fail: (error) => fail(words(error)),
        }),
      requestPayment: ({ tradeNO, success, fail }) =>
        my.tradePay({
          tradeNO,
          // 8000 and 6004: nobody knows yet. The shop asks the platform either way.
          success: ({ resultCode }) =>
            ["9000", "8000", "6004"].includes(String(resultCode))
              ? success({ errMsg: "requestPayment:ok" })
              : fail({ errMsg: "requestPayment:fail " + (String(resultCode) === "6001" ? "cancel" : resultCode) }),
          fail: (error) => fail(words(error)),
        }),
    };
  }

  function createShop({ wx, baseUrl, platform = "wechat", language = "zh-Hans", storageKey = "miniback" }) {
    const base = baseUrl.replace(/\/+$/, "") + "/";
    let tokens = wx.getStorageSync(storageKey) || null;
    let renewing = null;
    let templates = [];

    function keep(fresh) {
      tokens = fresh;
      if (fresh) wx.setStorageSync(storageKey, fresh);
      else wx.removeStorageSync(storageKey);
    }

    /** A promise for wx's success/fail pair. */
    function ask(method, options) {
      return new Promise((resolve, reject) => {
        wx[method]({ ...options, success: resolve, fail: reject });
      });
    }

    async function send(method, path, data, headers) {
      const header = { "Accept-Language": language, "Content-Type": "application/json", ...headers };
      if (tokens && header.Authorization === undefined) header.Authorization = "Bearer " + tokens.access;
      if (!header.Authorization) delete header.Authorization;
      let answer;
      try {
        answer = await ask("request", { url: base + path, method, data, header, timeout: 15000 });
      } catch (error) {
        throw new ShopError(0, { code: "network", detail: (error && error.errMsg) || "network" });
      }
      if (answer.statusCode >= 200 && answer.statusCode < 300) return answer.data;
      const body = answer.data && typeof answer.data === "object" ? answer.data : {};
      throw new ShopError(answer.statusCode, body);
    }

    /** One refresh for all requests that met a 401 together; if that fails, one login. */
    function renew(stale) {
      if (tokens && tokens.access !== stale) return Promise.resolve();
      if (!renewing) {
        renewing = refresh().finally(() => {
          renewing = null;
        });
      }
      return renewing;
    }

    async function refresh() {
      if (tokens) {
        try {
          keep(await send("POST", "auth/refresh/", { refresh: tokens.refresh }, { Authorization: "" }));
          return;
        } catch (error) {
          if (error.status !== 401 && error.status !== 409) throw error;
        }
      }
      await login();
    }

    /** wx.login, then a session. Resolves to the user. */
    async function login() {
      const { code } = await ask("login", {});
      const answer = await send("POST", "auth/login/", { platform, code }, { Authorization: "" });
      keep({ access: answer.access, refresh: answer.refresh });
      return answer.user;
    }

    async function logout() {
      if (tokens) await send("POST", "auth/logout/").catch(() => undefined);
      keep(null);
    }

    /**
     * Call the API. `data` is the query of a GET and the JSON body of a POST or PUT. A 401 is
     * answered by one refresh (or login) and one more try; a 429 or 503 by waiting as told, once.
     * Every POST has an Idempotency-Key, the same when it is sent again: it is carried out once.
     * Give a key of your own to be able to repeat a request whose answer was lost.
     */
    async function request(method, path, data, headers) {
      const used = tokens && tokens.access;
      const sent = method === "POST" ? { "Idempotency-Key": newKey(), ...headers } : headers;
      try {
        return await send(method, path, data, sent);
      } catch (error) {
        if (error.status === 401) await renew(used);
        else if (error.retryAfter > 0 && error.retryAfter <= 5 && isRepeatable(method)) {
          await sleep(error.retryAfter * 1000);
        } else throw error;
      }
      return send(method, path, data, sent);
    }

    function isRepeatable(method) {
      return method === "GET" || method === "POST";
    }

    /** Send a picture (a temporary path of wx.chooseMedia). Resolves to {id, url}. */
    async function upload(filePath, purpose, key = newKey()) {
      const put = () =>
        ask("uploadFile", {
          url: base + "uploads/",
          filePath,
          name: "file",
          formData: { purpose },
          header: { Authorization: "Bearer " + (tokens ? tokens.access : ""), "Idempotency-Key": key },
        });
      const used = tokens && tokens.access;
      let answer = await put();
      if (answer.statusCode === 401) {
        await renew(used);
        answer = await put();
      }
      // wx.uploadFile gives text.
      const body = typeof answer.data === "string" ? JSON.parse(answer.data) : answer.data;
      if (answer.statusCode !== 201) throw new ShopError(answer.statusCode, body);
      return body;
    }

    /** A key for one request: make it when the page opens, and keep it until it is answered. */
    function newKey() {
      let key = "";
      while (key.length < 32) key += Math.random().toString(36).slice(2);
      return key.slice(0, 32);
    }

    function placeOrder(key, body) {
      return request("POST", "orders/", body, { "Idempotency-Key": key });
    }

    /** Ask for money back; `key` as for an order: a tap that is repeated asks once. */
    function askRefund(key, number, body) {
      return request("POST", `orders/${number}/refunds/`, body, { "Idempotency-Key": key });
    }

    /**
     * Pay an order and wait until the shop has heard from the platform. Resolves to the payment;
     * rejects when the customer cancels ({errMsg: "requestPayment:fail cancel"}).
     */
    async function pay(number, channel = platform) {
      const { payment, params } = await request("POST", `orders/${number}/pay/`, { channel });
      await ask("requestPayment", params);
      // Its success proves nothing: the shop asks the platform.
      for (let attempt = 0; attempt < 8; attempt += 1) {
        try {
          const state = await send("POST", `payments/${payment}/check/`);
          if (state.status === "paid") return state;
        } catch (error) {
          if (error.status !== 429 && error.status !== 503) throw error;
        }
        await sleep(2100);
      }
      throw new ShopError(0, { code: "payment_unknown", detail: "支付结果确认中，请稍后在订单中查看" });
    }

    /** What the phone button gave: {code}, or {encrypted_data, iv}; in Alipay {response, sign}. */
    function bindPhone(proof) {
      return request("PUT", "me/phone/", proof);
    }

    /** Load what to ask for before the customer taps: after a tap there is no time to. */
    async function loadMessages() {
      templates = platform === "wechat" ? await request("GET", "messages/templates/") : [];
      return templates;
    }

    /** On a tap: may we tell of these ("paid", "shipped", ...)? Resolves to the kinds agreed to. */
    async function subscribe(kinds) {
      const asked = templates.filter((one) => kinds.includes(one.kind)).slice(0, 3);
      if (!asked.length || !wx.requestSubscribeMessage) return [];
      const answers = await ask("requestSubscribeMessage", { tmplIds: asked.map((one) => one.template_id) });
      const agreed = asked.filter((one) => answers[one.template_id] === "accept");
      if (agreed.length) {
        await request("POST", "messages/consents/", { template_ids: agreed.map((one) => one.template_id) });
      }
      return agreed.map((one) => one.kind);
    }

    function sleep(milliseconds) {
      return new Promise((resolve) => setTimeout(resolve, milliseconds));
    }

    return {
      login, logout, request, upload, newKey, placeOrder, askRefund, pay, bindPhone, loadMessages, subscribe,
      isLoggedIn: () => Boolean(tokens),
    };
  }

  const exported = { createShop, fromAlipay, ShopError };
  if (typeof module !== "undefined" && module.exports) module.exports = exported;
  else root.miniback = exported;
})(typeof globalThis !== "undefined" ? globalThis : this);
