import type { PromptTemplate } from './types.js';

const common = {
  system: 'STILL-3',
  source: 'arXiv 2503.04548, section 3.1.2',
  licence: undefined,
  format: 'raw',
  thinking: 'required',
} as const;

export const still3Short: PromptTemplate = {
  ...common,
  name: 'still3-short',
  text:
    'A conversation between User and Assistant. The user asks a question, and the Assistant solves it. ' +
    'The assistant first thinks about the reasoning process in the mind and then provides the user with the answer. ' +
    'The reasoning process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., ' +
    '<think> reasoning process here </think> <answer> answer here </answer>. ' +
    'The assistant shows the reasoning process in <think> </think> tags, and returns the final answer in <answer> </answer> tags, ' +
    'for example <answer> 12 </answer>. User: {problem} Assistant: <think>',
};

/** `includs` is the published spelling; the quote pair around the example may stand for a code fence of the original. */
export const still3Long: PromptTemplate = {
  ...common,
  name: 'still3-long',
  text: [
    "A conversation between User and Assistant. The User asks a question, and the Assistant solves it. The Assistant first engages in an internal reasoning process, akin to a stream of consciousness, before providing the User with the answer. The reasoning process and answer are enclosed within '<think></think>' and '<answer></answer>' tags, respectively. For example:",
    '"\' <think> reasoning process here </think> <answer> answer here </answer> "\'',
    'The reasoning process includs detailed considerations such as analyzing questions, summarizing relevant findings, brainstorming new ideas, verifying the accuracy of current steps, refining any errors, and revisiting previous steps. During this process, the Assistant uses casual, genuine phrases such as: "Hmm", "Wait", "Alternatively", "double check", "I wonder...", "But", "rethink", etc., to make the reasoning process coherent, clear, and logically sound, effectively simulating human cognitive processes.',
    "The Assistant shows the reasoning process within '<think></think>' tags, and ONLY return the FINAL ANSWER within '<answer></answer>' tags. For example: '<answer> 12 </answer>'.",
    'User: {problem} Assistant: <think>',
  ].join('\n'),
};
