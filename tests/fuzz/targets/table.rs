//! Tables of `peerage peers import`: each is read to its end or to a line from which nobody could tell
//! where it goes on, with bounded memory; what is read and written again reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage::cli;
use peerage::cli::sheet::{Sheet, SheetWriter};

/// The lines that are whole.
fn lines(table: &[u8]) -> Vec<Vec<String>> {
    let Ok(mut sheet) = Sheet::open(table, b',') else { return Vec::new() };
    let (mut lines, mut last) = (vec![sheet.header().to_vec()], 0);
    while let Ok(Some(line)) = sheet.next_line() {
        assert!(line.number > last, "line {} after {last}", line.number);
        assert_eq!(line.cells.len(), sheet.header().len());
        last = line.number;
        if line.fault.is_none() {
            lines.push(line.cells);
        }
    }
    lines
}

fuzz_target!(|table: &[u8]| {
    let read = lines(table);
    let mut writer = SheetWriter::new(Vec::new(), b',');
    for line in &read {
        writer.line(line.iter().map(String::as_str)).expect("memory takes every byte");
    }
    let written = writer.finish().expect("memory takes every byte");
    assert_eq!(lines(&written), read);
    if let Err(problems) = cli::check_peers(table) {
        assert!(!problems.is_empty());
    }
});
