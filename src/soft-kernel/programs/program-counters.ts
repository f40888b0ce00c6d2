/**
 * What has become of the packets that a hook's programs have met, in packets. The first six count verdicts, of which every packet has one;
 * the others count what was lost although the verdict was to send it somewhere, or without a verdict.
 */
export class ProgramCounters {
  /** Handed on to where the packet would have gone without a program. */
  pass = 0;
  /** Dropped by verdict. */
  drop = 0;
  /** Sent back out of the device. */
  tx = 0;
  /** Sent to where a redirection leads. */
  redirect = 0;
  /** Dropped: the program returned XDP_ABORTED, or was stopped (see `fault`). */
  aborted = 0;
  /** Dropped: the program returned what is no verdict, or none that this hook has. */
  unknown = 0;
  /** Among `aborted`: stopped by the engine, for an access outside its memory or for running too long. */
  fault = 0;
  /** Dropped unseen: a packet of several frames, and the program takes none, or has moved the end of its first frame. */
  segments = 0;
  /** Of `redirect`: nothing is there where the redirection leads, or what is there cannot take packets of this queue. */
  redirectNoTarget = 0;
  /** Of `tx` and `redirect`: the queue of the device or CPU was full, or no frames were left to copy to. */
  queueFull = 0;
  /** Of `tx` and `redirect`: longer than the device sends. */
  tooLong = 0;
  /** Of `redirect`, to a device or CPU: dropped by the program of the map's entry. */
  entryDrop = 0;

  /** In the manner of `ethtool -S`. @param prefix "rx_xdp" */
  statistics(prefix: string): Record<string, number> {
    return {
      [`${prefix}_pass`]: this.pass,
      [`${prefix}_drop`]: this.drop,
      [`${prefix}_tx`]: this.tx,
      [`${prefix}_redirect`]: this.redirect,
      [`${prefix}_aborted`]: this.aborted,
      [`${prefix}_unknown`]: this.unknown,
      [`${prefix}_fault`]: this.fault,
      [`${prefix}_segments`]: this.segments,
      [`${prefix}_redirect_no_target`]: this.redirectNoTarget,
      [`${prefix}_queue_full`]: this.queueFull,
      [`${prefix}_too_long`]: this.tooLong,
      [`${prefix}_entry_drop`]: this.entryDrop,
    };
  }
}
