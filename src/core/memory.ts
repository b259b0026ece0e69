/** The most resident memory this process has had at any moment so far, in bytes. */
export function peakMemoryBytes(): number {
  // libuv gives kilobytes on every system.
  return 1024 * process.resourceUsage().maxRSS;
}
