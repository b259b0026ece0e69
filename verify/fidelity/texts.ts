import type { ChatMessage } from '../../src/model/index.js';

/** Conversations for a chat template: short, long, with and without a system message. */
export const CHATS: readonly ChatMessage[][] = [
  [
    { role: 'user', content: 'A train leaves at 9:40 and arrives at 11:05. How long does it travel?' },
    {
      role: 'assistant',
      content: 'From 9:40 to 10:40 is one hour. From 10:40 to 11:05 are 25 minutes. It travels 1 hour and 25 minutes.',
    },
  ],
  [
    { role: 'system', content: 'You answer in one sentence and show the calculation.' },
    { role: 'user', content: 'Lena has 3 boxes with 12 eggs each. She breaks 5. How many are left?' },
    { role: 'assistant', content: 'She has 3 * 12 - 5 = 31 eggs left.' },
    { role: 'user', content: 'And if she breaks another 7?' },
    { role: 'assistant', content: 'Then 31 - 7 = 24 eggs are left. #### 24' },
  ],
  [
    { role: 'user', content: 'Write a function that adds the even numbers of a list.' },
    {
      role: 'assistant',
      content:
        'def add_even(numbers):\n    total = 0\n    for n in numbers:\n        if n % 2 == 0:\n            total += n\n    return total\n\nadd_even([1, 2, 3, 4]) returns 6.',
    },
  ],
];

/** Plain passages: prose, other languages, code, numbers, tables, repetition. */
export const PASSAGES: readonly string[] = [
  'The harbour was quiet before sunrise. Two fishermen mended their nets by the light of a lamp, and a dog slept on the warm planks of the pier. When the first boats came in, gulls gathered above the crates, and the price of herring was shouted across the water in three languages.',
  'Photosynthesis turns light into chemical energy. In the first step water is split, oxygen is released, and the energy of excited electrons is stored in ATP and NADPH. In the second step, which needs no light, carbon dioxide is fixed into sugars by an enzyme called RuBisCO.',
  'Die Küche war klein, aber hell. Am Fenster standen drei Töpfe mit Basilikum; auf dem Herd kochte eine Suppe aus Möhren, Zwiebeln und Linsen. « Asseyez-vous, dit-elle, le dîner est presque prêt. » У окна сидел мальчик и читал книгу.',
  'function gcd(a, b) {\n  while (b !== 0) {\n    [a, b] = [b, a % b];\n  }\n  return a;\n}\n\n// gcd(84, 36) === 12\nconst table = new Map([["x", 1.5], ["y", -2e-3]]);\nfor (const [key, value] of table) console.log(`${key}: ${value}`);\n',
  'n, n^2, n^3\n1, 1, 1\n2, 4, 8\n3, 9, 27\n4, 16, 64\n5, 25, 125\n6, 36, 216\n7, 49, 343\n8, 64, 512\n9, 81, 729\n10, 100, 1000\n11, 121, 1331\n12, 144, 1728\n',
  'again and again and again and again and again and again and again, and then something else entirely: a violet umbrella, forty-two tin soldiers, and the smell of rain on hot stone.',
  'Let f(x) = x^2 - 4x + 3. Completing the square gives f(x) = (x - 2)^2 - 1, so the roots are x = 1 and x = 3, and the minimum value is \\boxed{-1}, which is taken at x = 2. The area between the parabola and the axis is \\int_1^3 -f(x) dx = \\frac{4}{3}.',
  'To whom it may concern: the parcel (no. 7718-04-B) was delivered on 3 March 2021 at 14:25 to the neighbour at house number 19. Please sign the enclosed form, keep the yellow copy, and return the white one within ten working days. Yours sincerely, M. Okafor, customer service.',
];
