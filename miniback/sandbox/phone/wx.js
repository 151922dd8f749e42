/*
 * A wx object for the browser, as strict as the real one where it matters: it refuses what
 * wx.request refuses. The person who holds the phone is `wx.sandbox.openid`; Douyin's `tt` is alike.
 */
(function (root) {
  "use strict";

  const METHODS = ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "CONNECT"];
  const PREFIX = "wx:";

  async function postJson(path, body) {
    const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
    return { ok: answer.ok, body: await answer.json() };
  }

  function fails(options, name, reason) {
    const error = { errMsg: `${name}:fail ${reason}` };
    if (options.fail) options.fail(error);
    if (options.complete) options.complete(error);
  }

  function succeeds(options, result) {
    if (options.success) options.success(result);
    if (options.complete) options.complete(result);
  }

  function withQuery(url, data) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(data || {})) {
      if (value !== undefined && value !== null) query.append(name, value);
    }
    const text = query.toString();
    return text ? url + (url.includes("?") ? "&" : "?") + text : url;
  }

  const wx = {
    sandbox: { openid: "", platform: "wechat", askToPay: null, askToSubscribe: null },

    getStorageSync(key) {
      const kept = localStorage.getItem(PREFIX + wx.sandbox.openid + key);
      return kept === null ? "" : JSON.parse(kept);
    },
    setStorageSync(key, value) {
      localStorage.setItem(PREFIX + wx.sandbox.openid + key, JSON.stringify(value));
    },
    removeStorageSync(key) {
      localStorage.removeItem(PREFIX + wx.sandbox.openid + key);
    },

    login(options) {
      postJson(`/phone/${wx.sandbox.platform}/login/`, { openid: wx.sandbox.openid }).then(
        ({ body }) => succeeds(options, { code: body.code, errMsg: "login:ok" }),
        () => fails(options, "login", "network"),
      );
    },

    request(options) {
      const method = (options.method || "GET").toUpperCase();
      if (!METHODS.includes(method)) return fails(options, "request", `method ${method} is not supported`);
      if (!/^https?:\/\//.test(options.url)) return fails(options, "request", "invalid url");
      const isRead = method === "GET" || method === "HEAD";
      if (method === "DELETE" && options.data !== undefined) {
        return fails(options, "request", "a DELETE has no data here");
      }
      const url = isRead ? withQuery(options.url, options.data) : options.url;
      const body = isRead || options.data === undefined ? undefined : JSON.stringify(options.data);
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), options.timeout || 60000);
      fetch(url, { method, body, headers: options.header, signal: stop.signal, credentials: "omit" })
        .then(async (answer) => {
          const text = await answer.text();
          let data = text;
          // wx.request parses JSON unless told not to.
          try {
            data = JSON.parse(text);
          } catch (error) {
            data = text;
          }
          succeeds(options, {
            data,
            statusCode: answer.status,
            header: Object.fromEntries(answer.headers),
            errMsg: "request:ok",
          });
        })
        .catch((error) => fails(options, "request", error.name === "AbortError" ? "timeout" : "network"))
        .finally(() => clearTimeout(timer));
      return undefined;
    },

    uploadFile(options) {
      const form = new FormData();
      for (const [name, value] of Object.entries(options.formData || {})) form.append(name, value);
      form.append(options.name, options.filePath);
      fetch(options.url, { method: "POST", body: form, headers: options.header, credentials: "omit" })
        .then(async (answer) => {
          succeeds(options, { data: await answer.text(), statusCode: answer.status, errMsg: "uploadFile:ok" });
        })
        .catch(() => fails(options, "uploadFile", "network"));
    },

    /** Asks for consent to messages, at most three at a time; each is good for one message. */
    requestSubscribeMessage(options) {
      const ids = options.tmplIds || [];
      if (!ids.length || ids.length > 3) return fails(options, "requestSubscribeMessage", "invalid tmplIds");
      wx.sandbox.askToSubscribe({
        ids,
        answer: async (agreed) => {
          const openid = wx.sandbox.openid;
          if (agreed.length) await postJson("/phone/wechat/consents/", { openid, template_ids: agreed });
          const answers = ids.map((id) => [id, agreed.includes(id) ? "accept" : "reject"]);
          succeeds(options, { errMsg: "requestSubscribeMessage:ok", ...Object.fromEntries(answers) });
        },
      });
      return undefined;
    },

    /** Opens the payment sheet of the page; money moves only if the five fields are signed. */
    requestPayment(options) {
      for (const name of ["timeStamp", "nonceStr", "package", "signType", "paySign"]) {
        if (typeof options[name] !== "string") return fails(options, "requestPayment", `parameter ${name}`);
      }
      const { timeStamp, nonceStr, package: pack, signType, paySign } = options;
      const fields = { timeStamp, nonceStr, package: pack, signType, paySign };
      wx.sandbox.askToPay({
        bill: "/phone/wechat/bill/?package=" + encodeURIComponent(pack),
        pay: (password) =>
          postJson("/phone/wechat/pay/", { openid: wx.sandbox.openid, password, ...fields }),
        paid: () => succeeds(options, { errMsg: "requestPayment:ok" }),
        cancelled: () => fails(options, "requestPayment", "cancel"),
      });
      return undefined;
    },
  };

  root.wx = wx;
})(globalThis);
