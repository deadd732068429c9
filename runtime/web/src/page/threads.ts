/** How many threads the network gets. */

/** More than that, the parts that networks of this size are cut into become too small. */
const MOST = 8;

/**
 * One where the page is not isolated, since threads share memory.
 *
 * @param cores as browsers count them: with hyper-threading, and a phone's slow ones too.
 */
export function threadCount(cores: number, isIsolated: boolean): number {
  if (!isIsolated) return 1;
  return Math.max(1, Math.min(MOST, cores <= 4 ? cores : Math.ceil(cores / 2)));
}
