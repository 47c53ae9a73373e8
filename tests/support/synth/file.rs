//! Captures in memory, and as pcap and pcapng files. Written without the program's own writer, so that the two
//! check each other.

/// An interface of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// LINKTYPE_ number.
    pub link_type: u32,
    /// Snap length; 0 for none.
    pub snap_len: u32,
    /// Decimal digits of a second's fraction that its time stamps keep.
    pub digits: u8,
}

/// One captured frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is in the script, for edits by name; other traffic has an empty one.
    pub label: String,
    /// Nanoseconds since 1970.
    pub time: i64,
    pub interface: usize,
    /// Bytes on the wire; `data` may hold fewer.
    pub wire_len: usize,
    pub data: Vec<u8>,
}

impl Frame {
    /// A whole frame without name and time, on the first interface.
    pub fn new(data: Vec<u8>) -> Self {
        Self {
            label: String::new(),
            time: 0,
            interface: 0,
            wire_len: data.len(),
            data,
        }
    }
}

/// A capture: interfaces and frames in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    pub interfaces: Vec<Interface>,
    pub frames: Vec<Frame>,
}

impl Capture {
    /// Puts the frames with one label right behind the (last) frame with another. Times stay as they are.
    pub fn move_behind(&mut self, label: &str, anchor: &str) {
        let (moved, rest): (Vec<_>, Vec<_>) = self.frames.drain(..).partition(|f| f.label == label);
        self.frames = rest;
        let at = self.frames.iter().rposition(|f| f.label == anchor).unwrap();
        self.frames.splice((at + 1)..=at, moved);
    }

    /// Leaves out the frames with a label.
    pub fn without(mut self, label: &str) -> Self {
        let before = self.frames.len();
        self.frames.retain(|f| f.label != label);
        assert!(self.frames.len() < before, "no frame is labelled {label}");
        self
    }

    /// Cuts every frame to `len` bytes.
    pub fn snap(mut self, len: usize) -> Self {
        for frame in &mut self.frames {
            frame.data.truncate(len);
        }
        for interface in &mut self.interfaces {
            interface.snap_len = u32::try_from(len).unwrap();
        }
        self
    }

    /// This capture and another in one file, by time, each on its own interface.
    pub fn merge(mut self, other: Self) -> Self {
        let shift = self.interfaces.len();
        self.interfaces.extend(other.interfaces);
        self.frames.extend(other.frames.into_iter().map(|mut f| {
            f.interface += shift;
            f
        }));
        self.frames.sort_by_key(|f| f.time);
        self
    }

    /// As a pcapng file.
    pub fn to_pcapng(&self) -> Vec<u8> {
        let mut out = Format::Pcapng.header(&self.interfaces);
        for frame in &self.frames {
            Format::Pcapng.frame(&self.interfaces, frame, &mut out);
        }
        out
    }
}

/// A capture file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Little-endian, nanoseconds if the first interface keeps more than six digits.
    Pcap,
    /// One section, little-endian, enhanced packet blocks.
    Pcapng,
}

impl Format {
    /// What stands before the first frame.
    pub fn header(self, interfaces: &[Interface]) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Pcap => {
                let interface = &interfaces[0];
                let magic: u32 = if interface.digits > 6 {
                    0xA1B2_3C4D
                } else {
                    0xA1B2_C3D4
                };
                out.extend(magic.to_le_bytes());
                out.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                let snap = if interface.snap_len == 0 {
                    262_144
                } else {
                    interface.snap_len
                };
                out.extend(snap.to_le_bytes());
                out.extend(interface.link_type.to_le_bytes());
            }
            Self::Pcapng => {
                let mut section = 0x1A2B_3C4Du32.to_le_bytes().to_vec();
                section.extend([1, 0, 0, 0]);
                section.extend([0xFF; 8]);
                option(&mut section, 4, b"marstui make-fixtures");
                option(&mut section, 0, &[]);
                block(&mut out, 0x0A0D_0D0A, &section);
                for interface in interfaces {
                    let link = u16::try_from(interface.link_type).unwrap();
                    let mut body = link.to_le_bytes().to_vec();
                    body.extend([0, 0]);
                    body.extend(interface.snap_len.to_le_bytes());
                    option(&mut body, 2, interface.name.as_bytes());
                    option(&mut body, 9, &[interface.digits]);
                    option(&mut body, 0, &[]);
                    block(&mut out, 1, &body);
                }
            }
        }
        out
    }

    /// Appends one frame.
    pub fn frame(self, interfaces: &[Interface], frame: &Frame, out: &mut Vec<u8>) {
        let captured = u32::try_from(frame.data.len()).unwrap().to_le_bytes();
        let wire = u32::try_from(frame.wire_len).unwrap().to_le_bytes();
        match self {
            Self::Pcap => {
                let unit = if interfaces[0].digits > 6 { 1 } else { 1000 };
                let seconds = u32::try_from(frame.time.div_euclid(1_000_000_000)).unwrap();
                let fraction = u32::try_from(frame.time.rem_euclid(1_000_000_000)).unwrap() / unit;
                for field in [
                    seconds.to_le_bytes(),
                    fraction.to_le_bytes(),
                    captured,
                    wire,
                ] {
                    out.extend(field);
                }
                out.extend(&frame.data);
            }
            Self::Pcapng => {
                let digits = u32::from(interfaces[frame.interface].digits);
                let ticks = u64::try_from(frame.time).unwrap() / 10u64.pow(9 - digits);
                let interface = u32::try_from(frame.interface).unwrap().to_le_bytes();
                let high = u32::try_from(ticks >> 32).unwrap().to_le_bytes();
                let low = u32::try_from(ticks & 0xFFFF_FFFF).unwrap().to_le_bytes();
                let mut body = [interface, high, low, captured, wire].concat();
                body.extend(&frame.data);
                pad(&mut body);
                block(out, 6, &body);
            }
        }
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
    out.extend(value);
    pad(out);
}

fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let len = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(len);
    out.extend(body);
    out.extend(len);
}
