import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

/**
 * The rooms of src/, top to bottom. A room may import from any room below it, never from one above or beside it
 * (rooms that share a row are neighbours).
 */
const rooms = [
  ['cli'],
  ['recipes'],
  ['rl', 'sft', 'thinking', 'evals'],
  ['tasks'],
  ['engine'],
  ['model'],
  ['runs'],
  ['formats'],
  ['core'],
];

/** Every way to name another module; the path climbs out of the room and into one that it may not see. */
function importsOf(forbidden) {
  const path = `/^(\\.\\.\\u002F)+(${forbidden.join('|')})\\u002F/`;
  return [
    `:matches(ImportDeclaration, ExportAllDeclaration, ExportNamedDeclaration, ImportExpression)[source.value=${path}]`,
    `TSImportType > TSLiteralType > Literal[value=${path}]`,
    `TSImportType > Literal[value=${path}]`,
  ].join(', ');
}

const zones = rooms.flatMap((row, depth) =>
  row.map((room) => ({ room, forbidden: [...rooms.slice(0, depth).flat(), ...row.filter((other) => other !== room)] })),
);

const roomRules = zones
  .filter(({ forbidden }) => forbidden.length > 0)
  .map(({ room, forbidden }) => ({
    files: [`src/${room}/**`],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: importsOf(forbidden),
          message: `src/${room} may import only from the rooms below it (see AGENTS.md, map of rooms).`,
        },
      ],
    },
  }));

export default tseslint.config(
  { ignores: ['dist/**', 'coverage/**', 'runs/**', 'models/**', '**/golden/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommended,
  {
    languageOptions: { globals: { process: 'readonly', console: 'readonly', Buffer: 'readonly', URL: 'readonly' } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-undef': 'off',
      'no-control-regex': 'off',
    },
  },
  ...roomRules,
  prettier,
);
