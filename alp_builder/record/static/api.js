// Asks the server. The token stands after the # of the address, which browsers send to nobody by themselves.

export const token = decodeURIComponent(location.hash.slice(1));

/** An answer that is none, or says no. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 where the server did not answer
   * @param {string} reason short code
   * @param {string} detail in words
   */
  constructor(status, reason, detail) {
    super(detail);
    this.status = status;
    this.reason = reason;
  }

  /** Whether sending the same again can never help. */
  get isFinal() {
    return [400, 401, 403, 404, 409, 413, 415, 422].includes(this.status);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` }, cache: "no-store", credentials: "omit" });
  } catch {
    throw new ApiError(0, "network", "the server does not answer");
  }
  if (response.ok) return response;
  let told = { error: "http", detail: `the server answers ${response.status}` };
  try {
    told = { ...told, ...(await response.json()) };
  } catch {
    // an answer of something between us and the server: its number has to do
  }
  throw new ApiError(response.status, told.error, told.detail);
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
export async function askJson(path, options) {
  const response = await ask(path, options);
  try {
    return await response.json();
  } catch {
    throw new ApiError(0, "network", "the server's answer broke off");
  }
}

/** @param {string} path @returns {Promise<Blob>} */
export async function askBlob(path) {
  const response = await ask(path);
  try {
    return await response.blob();
  } catch {
    throw new ApiError(0, "network", "the server's answer broke off");
  }
}
