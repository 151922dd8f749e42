/*
 * Alipay's my object for the browser, as far as a shop uses it, with the ways that differ from wx:
 * storage takes objects, an answer of 400 and more is a failure, payment answers by result codes.
 */
(function (root) {
  "use strict";

  const METHODS = ["GET", "POST", "PUT", "DELETE"];
  const PREFIX = "my:";
  const HTTP_ERROR = 19;
  const NETWORK_ERROR = 12;

  async function postJson(path, body) {
    const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
    return { ok: answer.ok, body: await answer.json() };
  }

  function fails(options, error, errorMessage, more) {
    const reason = { error, errorMessage, ...more };
    if (options.fail) options.fail(reason);
    if (options.complete) options.complete(reason);
  }

  function succeeds(options, result) {
    if (options.success) options.success(result);
    if (options.complete) options.complete(result);
  }

  const my = {
    sandbox: { openid: "", askToPay: null },

    getStorageSync({ key }) {
      const kept = localStorage.getItem(PREFIX + my.sandbox.openid + key);
      return { data: kept === null ? null : JSON.parse(kept) };
    },
    setStorageSync({ key, data }) {
      localStorage.setItem(PREFIX + my.sandbox.openid + key, JSON.stringify(data));
    },
    removeStorageSync({ key }) {
      localStorage.removeItem(PREFIX + my.sandbox.openid + key);
    },

    getAuthCode(options) {
      postJson("/phone/alipay/login/", { openid: my.sandbox.openid }).then(
        ({ body }) => succeeds(options, { authCode: body.code }),
        () => fails(options, NETWORK_ERROR, "network"),
      );
    },

    request(options) {
      const method = (options.method || "GET").toUpperCase();
      if (!METHODS.includes(method)) return fails(options, 2, `method ${method} is not supported`);
      if (!/^https?:\/\//.test(options.url)) return fails(options, 2, "invalid url");
      let { url, data: body } = options;
      if (method === "GET") {
        const given = Object.entries(body || {}).filter(([, value]) => value !== undefined && value !== null);
        const query = new URLSearchParams(given).toString();
        url += query ? (url.includes("?") ? "&" : "?") + query : "";
        body = undefined;
      } else if (body !== undefined && typeof body !== "string") {
        return fails(options, 2, "data of a JSON request is text");
      }
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), options.timeout || 30000);
      fetch(url, { method, body, headers: options.headers, signal: stop.signal, credentials: "omit" })
        .then(async (answer) => {
          const text = await answer.text();
          const result = { status: answer.status, headers: Object.fromEntries(answer.headers) };
          if (answer.status >= 400) return fails(options, HTTP_ERROR, "http status error", { ...result, data: text });
          if ((options.dataType || "json") !== "json") return succeeds(options, { ...result, data: text });
          try {
            return succeeds(options, { ...result, data: JSON.parse(text) });
          } catch (error) {
            return fails(options, 14, "JSON parse data error");
          }
        })
        .catch(() => fails(options, NETWORK_ERROR, "network"))
        .finally(() => clearTimeout(timer));
      return undefined;
    },

    /** Opens the payment sheet of the page. */
    tradePay(options) {
      if (typeof options.tradeNO !== "string") return fails(options, 2, "tradeNO");
      const trade = { openid: my.sandbox.openid, trade_no: options.tradeNO };
      my.sandbox.askToPay({
        bill: "/phone/alipay/bill/?trade_no=" + encodeURIComponent(options.tradeNO),
        pay: (password) => postJson("/phone/alipay/pay/", { ...trade, password }),
        paid: () => succeeds(options, { resultCode: "9000" }),
        cancelled: () => succeeds(options, { resultCode: "6001" }),
      });
      return undefined;
    },
  };

  root.my = my;
})(globalThis);
