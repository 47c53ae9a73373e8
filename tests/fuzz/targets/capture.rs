//! Capture files of all formats: reading ends, and frames lie within their chunks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marstui::capture::link::{self, Network};
use marstui::capture::{Capture, FrameSource};
use marstui::decode::net::{self, Packet};

fuzz_target!(|data: &[u8]| {
    let Ok(capture) = Capture::from_bytes("fuzz", data.to_vec()) else {
        return;
    };
    let mut reader = capture.chunks();
    while let Some(chunk) = reader.next_chunk() {
        for record in &chunk.records {
            let frame = chunk.bytes(record);
            assert_eq!(frame.len(), record.captured as usize);
            let link_type = capture.link_type(record.interface).unwrap();
            let Network::Ip(at) = link::network(link_type, frame) else {
                continue;
            };
            if let Packet::Tcp(segment) = net::packet(frame, at, record.wire) {
                let len = segment.captured_payload as usize;
                assert_eq!(segment.payload(frame).len(), len);
                net::tcp_options(&segment, frame);
                net::tcp_checksum(&segment, frame);
            }
        }
    }
});
