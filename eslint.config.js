import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import importX, { createNodeResolver } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/**
 * The rooms of src/, top to bottom. A room may import from any room below it, never from one above or beside it
 * (rooms that share a row are neighbours).
 */
const rooms = [
  ['cli'],
  ['recipes'],
  ['rl', 'sft', 'evals'],
  ['tasks'],
  ['engine'],
  ['model'],
  ['runs'],
  ['formats'],
  ['core'],
];

const zones = rooms.flatMap((row, depth) =>
  row.map((room) => ({
    target: `./src/${room}`,
    from: [...rooms.slice(0, depth).flat(), ...row.filter((other) => other !== room)].map((name) => `./src/${name}`),
    message: `src/${room} may import only from the rooms below it (see AGENTS.md, map of rooms).`,
  })),
);

export default tseslint.config(
  { ignores: ['dist/**', 'coverage/**', 'runs/**', 'models/**', '**/golden/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    plugins: { 'import-x': importX },
    languageOptions: { globals: { process: 'readonly', console: 'readonly', Buffer: 'readonly', URL: 'readonly' } },
    // Imports name the built file (./x.js); the rule has to find the source behind it.
    settings: { 'import-x/resolver-next': [createNodeResolver({ extensionAlias: { '.js': ['.ts', '.js'] } })] },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones: zones.filter((zone) => zone.from.length > 0) }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-undef': 'off',
      'no-control-regex': 'off',
    },
  },
  prettier,
);
