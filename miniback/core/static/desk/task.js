// A task's page: moves the bar while the jobs work, and shows the page anew when they are done.
"use strict";
const task = document.getElementById("task");
async function look() {
  const answer = await fetch(task.dataset.url, {headers: {Accept: "application/json"}});
  if (!answer.ok) return;
  const state = await answer.json();
  if (state.is_finished) return location.reload();
  task.querySelector("progress").value = state.percent;
  task.querySelector(".done").textContent = state.done;
  setTimeout(look, 1000);
}
if (task.dataset.finished === "no") setTimeout(look, 500);
