/** From rewards (and values) to credit for every token. All pure; responses are ragged lists, a mask of 0 marks tool tokens. */
export { groupAdvantages, leaveOneOut, type GroupAdvantageOptions } from './advantages/group.js';
export {
  decoupledGae,
  gae,
  lengthAdaptiveLambda,
  monteCarloReturns,
  type DecoupledGaeInput,
  type GaeInput,
  type GaeResult,
  type Trajectory,
} from './advantages/gae.js';
export { reinforcePlusPlus, reinforcePlusPlusBaseline } from './advantages/reinforce-plus-plus.js';
export { lengthOfMask, outcomeRewards, spread } from './advantages/tokens.js';
export { whiten, type WhitenOptions } from './advantages/whiten.js';
