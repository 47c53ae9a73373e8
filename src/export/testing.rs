//! Hand-made stores for the unit tests of this layer.

use crate::store::{Batch, FrameFlags, FrameRow, Progress, Store, TcpFlags};
use crate::units::{FileOffset, InterfaceId, Nanos, TcpSeq};

/// A frame without connection.
pub(super) fn plain_frame(time: i64) -> FrameRow {
    FrameRow {
        offset: FileOffset(0),
        time: Nanos(time),
        captured: 60,
        wire: 60,
        conn: None,
        prev: None,
        seq: TcpSeq(0),
        ack: TcpSeq(0),
        payload_len: 0,
        payload_offset: 0,
        window: 0,
        ip_id: 0,
        tcp_flags: TcpFlags(0),
        interface: InterfaceId(0),
        ttl: 64,
        flags: FrameFlags(0),
    }
}

/// A store whose frames have these times and nothing else.
pub(super) fn store_with_times(times: &[i64]) -> Store {
    let mut store = Store::new();
    store.append(Batch {
        frames: times.iter().map(|t| plain_frame(*t)).collect(),
        progress: Progress {
            complete: true,
            ..Progress::default()
        },
        ..Batch::default()
    });
    store
}
