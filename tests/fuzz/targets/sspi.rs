//! Tokens of NTLM, SPNEGO and Kerberos.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marstui::decode::sspi;

fuzz_target!(|data: &[u8]| {
    let _ = (sspi::recognise(data), sspi::authenticate_names(data));
    for range in sspi::secret_ranges(data) {
        assert!(range.end <= data.len());
    }
});
