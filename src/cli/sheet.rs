//! Tables in CSV (RFC 4180): UTF-8 with or without a byte order mark, any line end, quoted cells. A
//! column is known by its header, so that columns may stand in any order.
//!
//! INVARIANT: what is held in memory is one line, of at most [`LINE_BYTES_MAX`] bytes, however large the
//! file is and whatever stands in it: a quote that is never closed does not read it to its end.
//!
//! Spreadsheets take a cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return as a formula
//! (CSV injection). Such a cell is written with an apostrophe before it, and one apostrophe before such
//! a cell is taken away when it is read, so that what is written is read back as it was.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder, Terminator, WriterBuilder};

/// The most bytes of a line.
pub const LINE_BYTES_MAX: usize = 1 << 20;
/// How many bytes are read ahead.
const BUFFER: usize = 64 << 10;
/// A line behind the last one. It stands alone, unless a quote that is not closed takes it in.
const MARK: &[u8] = b"\0";
const END: &[u8] = b"\0\n";
/// What marks text of 16-bit units, at its beginning.
const UTF_16: [[u8; 2]; 2] = [[0xFF, 0xFE], [0xFE, 0xFF]];

/// Why a table cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    #[error("the file cannot be read")]
    Io(#[source] io::Error),
    #[error("the file is empty: its first line names the columns")]
    Empty,
    #[error("the file is UTF-16: save it as CSV in UTF-8")]
    Utf16,
    #[error("line {line}: more than {LINE_BYTES_MAX} bytes; is a quote not closed?")]
    TooLong { line: u64 },
    #[error("the file cannot be read on")]
    Csv(#[source] csv::Error),
}

/// A line of a table. Its number counts lines of the file from 1; a line with line ends within quotes
/// has the number of its first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub number: u64,
    /// As many as the header has.
    pub cells: Vec<String>,
    /// What is wrong with the line as a whole.
    pub fault: Option<String>,
}

/// A table that is read line by line.
pub struct Sheet<R> {
    reader: csv::Reader<Limited<io::Chain<io::Cursor<Vec<u8>>, R>>>,
    header: Vec<String>,
    flow: Rc<Flow>,
    record: ByteRecord,
}

/// What is known of the bytes that went to the reader.
#[derive(Debug, Default)]
struct Flow {
    /// How many may go before the line ends.
    budget: Cell<usize>,
    given: Cell<u64>,
    /// Whether all of the file and of [`END`] behind it was given.
    is_over: Cell<bool>,
}

impl<R> std::fmt::Debug for Sheet<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sheet").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<R: Read> Sheet<R> {
    /// Reads the header, whose names lose blanks around them, byte order marks too, and their case.
    ///
    /// # Errors
    /// [`SheetError`] naming why there is no header.
    pub fn open(mut input: R, delimiter: u8) -> Result<Self, SheetError> {
        let begin = beginning(&mut input).map_err(SheetError::Io)?;
        if UTF_16.iter().any(|mark| begin.starts_with(mark)) {
            return Err(SheetError::Utf16);
        }
        let begin = begin.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&begin).to_vec();
        let flow = Rc::new(Flow::default());
        let input = io::Cursor::new(begin).chain(input);
        let limited = Limited { input, flow: Rc::clone(&flow), last: b'\n', is_over: false, end: END };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(BUFFER)
            .from_reader(limited);
        let mut sheet = Self { reader, header: Vec::new(), flow, record: ByteRecord::new() };
        let header = sheet.read()?.ok_or(SheetError::Empty)?;
        sheet.header = header.cells.iter().map(|name| name.trim_matches(is_blank).to_ascii_lowercase()).collect();
        Ok(sheet)
    }

    #[must_use]
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// How many bytes are read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The next line, until there is none. Empty lines are passed over.
    ///
    /// # Errors
    /// [`SheetError`] naming why there is no telling where it ends; nothing more can be read then.
    pub fn next_line(&mut self) -> Result<Option<Line>, SheetError> {
        let Some(mut line) = self.read()? else { return Ok(None) };
        let (found, wanted) = (line.cells.len(), self.header.len());
        if found != wanted && line.fault.is_none() {
            line.fault = Some(format!("has {found} cells, and the header {wanted}"));
        }
        line.cells.resize(wanted, String::new());
        Ok(Some(line))
    }

    fn read(&mut self) -> Result<Option<Line>, SheetError> {
        let line = self.reader.position().line();
        // What was read ahead belongs to this line or to later ones.
        self.flow.budget.set(LINE_BYTES_MAX);
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => return Ok(None),
            Ok(true) if self.is_at_end() && self.record.iter().eq([MARK]) => return Ok(None),
            Ok(true) => {}
            Err(_) if self.flow.budget.get() == 0 => return Err(SheetError::TooLong { line }),
            Err(error) => return Err(SheetError::Csv(error)),
        }
        let text = |cell: &[u8]| match std::str::from_utf8(cell) {
            Ok(text) => (unguarded(text).into_owned(), true),
            Err(_) => (String::from_utf8_lossy(cell).into_owned(), false),
        };
        let mut cells: Vec<(String, bool)> = self.record.iter().map(text).collect();
        let mut fault = cells.iter().any(|(_, is_text)| !is_text).then(|| "is not UTF-8".to_owned());
        // Empty lines before a line count as its own to the reader, so that it is found from its end.
        let within: usize = self.record.iter().map(|cell| cell.iter().filter(|byte| **byte == b'\n').count()).sum();
        let mut number = self.reader.position().line().saturating_sub(u64::try_from(within).unwrap_or(0));
        if self.is_at_end() {
            fault = Some("a quote is not closed".to_owned());
            if let Some((last, _)) = cells.last_mut() {
                last.truncate(last.trim_end_matches(['\0', '\n']).len());
            }
        } else {
            number = number.saturating_sub(1);
        }
        Ok(Some(Line { number, cells: cells.into_iter().map(|(cell, _)| cell).collect(), fault }))
    }

    /// Whether the reader took everything, the mark behind the file too.
    fn is_at_end(&self) -> bool {
        self.flow.is_over.get() && self.reader.position().byte() == self.flow.given.get()
    }
}

/// What names of columns lose at both ends: blanks, and a byte order mark that blanks stand before.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{FEFF}'
}

/// The first bytes of a file, as many as the longest mark has.
fn beginning(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    input.take(3).read_to_end(&mut begin)?;
    Ok(begin)
}

/// Bytes for one line at a time. Every line ends with a line feed alone, the last one too, so that lines
/// can be counted; nobody can tell which line end stands within quotes.
struct Limited<R> {
    input: R,
    flow: Rc<Flow>,
    /// The last byte that was read.
    last: u8,
    is_over: bool,
    /// What is still to be given behind the file.
    end: &'static [u8],
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.flow.budget.get());
        let Some(space) = buffer.get_mut(..most).filter(|space| !space.is_empty()) else {
            return Err(io::Error::other("the line is too long"));
        };
        let given = loop {
            let read = if self.is_over { 0 } else { self.input.read(space)? };
            if read == 0 {
                break self.end(space)?;
            }
            let kept = self.keep(space.get_mut(..read).unwrap_or_default());
            if kept > 0 {
                break kept;
            }
        };
        self.flow.budget.set(self.flow.budget.get().saturating_sub(given));
        self.flow.given.set(self.flow.given.get().saturating_add(u64::try_from(given).unwrap_or(0)));
        Ok(given)
    }
}

impl<R> Limited<R> {
    /// Gives what stands behind the file: the end of its last line, and the mark.
    fn end(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.is_over = true;
        if !matches!(self.last, b'\n' | b'\r') {
            self.last = b'\n';
            return (&[b'\n'][..]).read(space);
        }
        let given = self.end.read(space)?;
        self.flow.is_over.set(self.end.is_empty());
        Ok(given)
    }

    /// Turns CR LF and CR into LF, in place. Returns how many bytes are left.
    fn keep(&mut self, bytes: &mut [u8]) -> usize {
        let mut kept = 0;
        for place in 0..bytes.len() {
            let Some(byte) = bytes.get(place).copied() else { break };
            let before = std::mem::replace(&mut self.last, byte);
            if (before, byte) == (b'\r', b'\n') {
                continue;
            }
            if let Some(slot) = bytes.get_mut(kept) {
                *slot = if byte == b'\r' { b'\n' } else { byte };
                kept += 1;
            }
        }
        kept
    }
}

/// A table that is written line by line.
pub struct SheetWriter<W: Write> {
    writer: csv::Writer<W>,
}

impl<W: Write> std::fmt::Debug for SheetWriter<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SheetWriter").finish_non_exhaustive()
    }
}

impl<W: Write> SheetWriter<W> {
    /// Begins a table. Lines end with CR LF, as RFC 4180 has it.
    pub fn new(output: W, delimiter: u8) -> Self {
        let writer = WriterBuilder::new().delimiter(delimiter).terminator(Terminator::CRLF).from_writer(output);
        Self { writer }
    }

    /// Writes a line, its formulas made harmless.
    ///
    /// # Errors
    /// What the output fails with.
    pub fn line<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        for cell in cells {
            self.writer.write_field(guarded(cell).as_bytes()).map_err(io::Error::from)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(io::Error::from)
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// What the output fails with.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Writes what is still held back, and gives the output back.
    ///
    /// # Errors
    /// What the output fails with.
    pub fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// Whether a spreadsheet would take a cell as a formula, once apostrophes before it are gone. Wide forms
/// are taken as the plain ones by some.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'])
}

/// A cell as it is written: with one apostrophe more where it would be a formula.
#[must_use]
pub fn guarded(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// A cell as it is meant: without the apostrophe that [`guarded`] put there.
#[must_use]
pub fn unguarded(cell: &str) -> Cow<'_, str> {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(cell) => Cow::Borrowed(rest),
        _ => Cow::Borrowed(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(Vec<String>, Vec<Line>), SheetError> {
        let mut sheet = Sheet::open(bytes, b',')?;
        let mut lines = Vec::new();
        while let Some(line) = sheet.next_line()? {
            lines.push(line);
        }
        Ok((sheet.header().to_vec(), lines))
    }

    fn line(number: u64, cells: &[&str]) -> Line {
        Line { number, cells: cells.iter().map(|cell| (*cell).to_owned()).collect(), fault: None }
    }

    #[test]
    fn lines_are_numbered_as_an_editor_numbers_them() {
        let text = " User_Name ,b\n1,2\n\n\n3,\"4\n\n\"\n5,6\n\n7,8";
        let wanted = [line(2, &["1", "2"]), line(5, &["3", "4\n\n"]), line(8, &["5", "6"]), line(10, &["7", "8"])];
        for end in ["\n", "\r\n", "\r"] {
            for (mark, last) in [("", ""), ("\u{FEFF}", ""), ("", "\n"), ("\u{FEFF}", "\n"), (" \u{FEFF}", "")] {
                let text = format!("{mark}{}", format!("{text}{last}").replace('\n', end));
                let (header, lines) = read(text.as_bytes()).unwrap();
                assert_eq!(header, ["user_name", "b"], "{text:?}");
                assert_eq!(lines, wanted, "{text:?}");
            }
        }
    }

    #[test]
    fn a_line_that_is_wrong_is_one_line() {
        let (_, lines) = read(b"a,b\n1\n1,2,3\n\xFF,2\n\xC3\xA4,\"x \"\"y\"\"\"").unwrap();
        let faults: Vec<_> = lines.iter().map(|line| line.fault.as_deref().unwrap_or_default()).collect();
        assert_eq!(faults, ["has 1 cells, and the header 2", "has 3 cells, and the header 2", "is not UTF-8", ""]);
        assert_eq!(lines.last().unwrap().cells, ["ä", "x \"y\""]);
        assert!(lines.iter().all(|line| line.cells.len() == 2));
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told() {
        let (_, lines) = read(b"a,b\n1,2\n\n\n3,\"4\n5,6\n").unwrap();
        let last = Line { fault: Some("a quote is not closed".to_owned()), ..line(5, &["3", "4\n5,6"]) };
        assert_eq!(lines, [line(2, &["1", "2"]), last]);
        let (_, lines) = read(b"a\n\0\n\"x\"\n\0").unwrap();
        assert_eq!(lines, [line(2, &["\0"]), line(3, &["x"]), line(4, &["\0"])]);
    }

    #[test]
    fn what_is_no_table_says_so() {
        assert!(matches!(read(b""), Err(SheetError::Empty)));
        assert!(matches!(read(b"\n\r\n"), Err(SheetError::Empty)));
        assert!(matches!(read(&[0xFF, 0xFE, b'a', 0]), Err(SheetError::Utf16)));
    }

    /// Gives as many bytes as it is asked for, and counts them.
    struct Endless(Rc<Cell<usize>>);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'x');
            self.0.set(self.0.get() + buffer.len());
            Ok(buffer.len())
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_ends_at_the_bound() {
        let count = Rc::new(Cell::new(0));
        let input = io::Cursor::new(b"a,b\n1,2\n3,\"".to_vec()).chain(Endless(Rc::clone(&count)));
        let mut sheet = Sheet::open(input, b',').unwrap();
        assert_eq!(sheet.next_line().unwrap().unwrap().number, 2);
        assert!(matches!(sheet.next_line(), Err(SheetError::TooLong { line: 3 })));
        assert!(count.get() <= 2 * LINE_BYTES_MAX, "{} bytes were read", count.get());
    }

    #[test]
    fn formulas_are_made_harmless_and_come_back() {
        for (cell, written) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+41441234567", "'+41441234567"),
            ("-1", "'-1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\tx", "'\tx"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("''=1", "'''=1"),
            ("'quoted'", "'quoted'"),
            ("O'Hara", "O'Hara"),
            ("", ""),
        ] {
            assert_eq!(guarded(cell), written);
            assert_eq!(unguarded(written), cell);
            assert!(!written.starts_with(['=', '+', '-', '@', '\t', '\r']));
        }
    }

    /// Bytes from a seed, made of the signs that mean something to a reader.
    fn hostile(seed: u64) -> Vec<u8> {
        const SIGNS: [&str; 11] = [",", "\"", "\n", "\r", "\r\n", "a", "=", "'", "ä", " ", "\u{FEFF}"];
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
        let mut bytes = Vec::new();
        for _ in 0..state % 200 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let sign = usize::try_from(state % 12).unwrap();
            bytes.extend_from_slice(SIGNS.get(sign).map_or(b"\xFF", |sign| sign.as_bytes()));
        }
        bytes
    }

    #[test]
    fn whatever_stands_in_a_file_it_is_read_to_its_end() {
        for seed in 0..20_000 {
            let bytes = hostile(seed);
            let Ok((header, lines)) = read(&bytes) else { continue };
            let count = u64::try_from(bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count()).unwrap() + 1;
            let mut before = 1;
            for line in &lines {
                assert_eq!(line.cells.len(), header.len(), "{bytes:?}");
                assert!(line.number > before && line.number <= count, "{bytes:?}: {lines:?}");
                before = line.number;
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for seed in 0..5_000 {
            let bytes = hostile(seed);
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n").replace('\r', "\n");
            // A line of one empty cell would be an empty line.
            let cells: Vec<&str> = text.split(',').chain(["end"]).collect();
            let header: Vec<String> = cells.iter().enumerate().map(|(place, _)| format!("c{place}")).collect();
            let mut writer = SheetWriter::new(Vec::new(), b',');
            writer.line(header.iter().map(String::as_str)).unwrap();
            writer.line(cells.iter().copied()).unwrap();
            let (_, lines) = read(&writer.finish().unwrap()).unwrap();
            assert_eq!(lines.len(), 1, "{cells:?}");
            assert_eq!(lines[0].cells, cells);
        }
    }
}
