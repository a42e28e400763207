// Puts questions to stock node-casbin, as docs/policy-export.md says to ask.
//
// Each line of standard input is a JSON object with the folder of a model.conf and a policy.csv and a
// list of questions (sub, dom, res, act); each line of output is the list of their answers.

import { createInterface } from "node:readline";

import { newEnforcer } from "casbin";

async function outcome(enforcer, question) {
  if (!(await enforcer.enforce(...question, "both"))) {
    return "deny";
  }
  if (await enforcer.enforce(...question, "none")) {
    return "allow";
  }
  return (await enforcer.enforce(...question, "step_up")) ? "requires_step_up" : "requires_approval";
}

for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  const enforcer = await newEnforcer(`${task.folder}/model.conf`, `${task.folder}/policy.csv`);
  const answers = [];
  for (const question of task.questions) {
    answers.push(await outcome(enforcer, question));
  }
  console.log(JSON.stringify(answers));
}
