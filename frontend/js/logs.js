// Follows a growing log while its reader is at the end of it.
//   <div class="log" data-follow>...</div>
export function bind(root) {
  const logs = root.matches?.("[data-follow]") ? [root] : root.querySelectorAll("[data-follow]");
  for (const log of logs) {
    if (log.dataset.followBound) continue;
    log.dataset.followBound = "yes";
    let atEnd = true;
    log.scrollTop = log.scrollHeight;
    log.addEventListener("scroll", () => {
      atEnd = log.scrollTop + log.clientHeight > log.scrollHeight - 24;
    });
    new MutationObserver(() => {
      if (atEnd) log.scrollTop = log.scrollHeight;
    }).observe(log, { childList: true, subtree: true });
  }
}
