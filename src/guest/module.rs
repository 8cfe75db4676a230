//! A guest binary taken apart: its code without its data, and the memory its data describes.
//!
//! Every image of one interpreter shares the code, so the code is compiled once, alone, and the
//! data becomes the first state of a linear memory. The result is the same program: a module
//! whose data segments are all active needs them only at instantiation.

use std::ops::Range;

use wasm_encoder::{ExportKind, ExportSection, RawSection, SectionId};
use wasmparser::{DataKind, ExternalKind, Operator, Parser, Payload, TypeRef};

/// The export under which a guest's stack pointer is reachable after [`GuestBinary::parse`].
pub const STACK_POINTER_EXPORT: &str = "weir:stack_pointer";

/// Bytes of one WebAssembly page.
pub const WASM_PAGE_BYTES: usize = 65_536;

/// A guest binary, split into what is compiled and what is mapped.
#[derive(Debug)]
pub struct GuestBinary {
    /// The module without data and custom sections, with its stack pointer exported.
    pub code: Vec<u8>,
    /// The linear memory as the data segments leave it; its length is the declared minimum.
    pub memory: Vec<u8>,
    /// The stack pointer's value before anything ran. With the stack first in memory, every byte
    /// below it is dead whenever the guest is at rest.
    pub stack_pointer: u32,
}

/// Why a guest binary cannot be run from an image.
#[derive(Debug, thiserror::Error)]
pub enum UnfitBinary {
    #[error("the guest binary is not valid WebAssembly: {0}")]
    Invalid(#[from] wasmparser::BinaryReaderError),
    #[error("the guest binary {0}")]
    Unsupported(&'static str),
}

impl GuestBinary {
    /// Splits `wasm`. Everything but the export section is copied as it stands.
    ///
    /// # Errors
    /// [`UnfitBinary`] when the module has no single 32-bit memory of its own, uses passive data or
    /// bulk-memory segment instructions in its data, or has no mutable `i32` global to serve as
    /// stack pointer.
    pub fn parse(wasm: &[u8]) -> Result<Self, UnfitBinary> {
        let mut out = wasm_encoder::Module::new();
        let mut memory_minimum_pages = None;
        let mut stack_pointer = None;
        let mut imported_globals = 0;
        let mut segments: Vec<(u32, Range<usize>)> = Vec::new();
        let mut exported = false;

        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            match &payload {
                Payload::ImportSection(imports) => {
                    for import in imports.clone().into_imports() {
                        match import?.ty {
                            TypeRef::Memory(_) => {
                                return Err(UnfitBinary::Unsupported("imports its memory"));
                            }
                            TypeRef::Global(_) => imported_globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories.clone() {
                        let memory = memory?;
                        if memory_minimum_pages.replace(memory.initial).is_some() {
                            return Err(UnfitBinary::Unsupported("has more than one memory"));
                        }
                        if memory.memory64 || memory.shared {
                            return Err(UnfitBinary::Unsupported("has a 64-bit or shared memory"));
                        }
                    }
                }
                Payload::GlobalSection(globals) => {
                    for (index, global) in globals.clone().into_iter().enumerate() {
                        let global = global?;
                        let first_mutable =
                            stack_pointer.is_none() && global.ty.mutable && !global.ty.shared;
                        if first_mutable {
                            let value = constant(global.init_expr.get_operators_reader())?;
                            stack_pointer = Some((imported_globals + index as u32, value));
                        }
                    }
                }
                Payload::DataSection(data) => {
                    for segment in data.clone() {
                        let segment = segment?;
                        match segment.kind {
                            DataKind::Active { offset_expr, .. } => {
                                let offset = constant(offset_expr.get_operators_reader())?;
                                let end = segment.range.end;
                                segments.push((offset, end - segment.data.len()..end));
                            }
                            DataKind::Passive => {
                                return Err(UnfitBinary::Unsupported("has passive data"));
                            }
                        }
                    }
                    continue;
                }
                Payload::ExportSection(exports) => {
                    let mut section = ExportSection::new();
                    for export in exports.clone() {
                        let export = export?;
                        section.export(export.name, export_kind(export.kind)?, export.index);
                    }
                    if let Some((index, _)) = stack_pointer {
                        section.export(STACK_POINTER_EXPORT, ExportKind::Global, index);
                    }
                    out.section(&section);
                    exported = true;
                    continue;
                }
                // The count of data segments goes with the segments.
                Payload::DataCountSection { .. } | Payload::CustomSection(_) => continue,
                _ => {}
            }
            if let Some((id, range)) = payload.as_section() {
                let data = &wasm[range];
                out.section(&RawSection { id, data });
            }
        }

        let pages = memory_minimum_pages.ok_or(UnfitBinary::Unsupported("has no memory"))?;
        let (_, stack_pointer) = stack_pointer.ok_or(UnfitBinary::Unsupported(
            "has no mutable global to serve as stack pointer",
        ))?;
        if !exported {
            return Err(UnfitBinary::Unsupported("exports nothing"));
        }
        let mut memory = vec![0; pages as usize * WASM_PAGE_BYTES];
        for (offset, source) in segments {
            let start = offset as usize;
            memory
                .get_mut(start..start + source.len())
                .ok_or(UnfitBinary::Unsupported("has data outside its memory"))?
                .copy_from_slice(&wasm[source]);
        }
        Ok(Self {
            code: out.finish(),
            memory,
            stack_pointer,
        })
    }
}

/// The value of a constant `i32` expression.
fn constant(mut operators: wasmparser::OperatorsReader<'_>) -> Result<u32, UnfitBinary> {
    match operators.read()? {
        Operator::I32Const { value } => Ok(value as u32),
        _ => Err(UnfitBinary::Unsupported(
            "places data or its stack by something other than an i32 constant",
        )),
    }
}

fn export_kind(kind: ExternalKind) -> Result<ExportKind, UnfitBinary> {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => Ok(ExportKind::Func),
        ExternalKind::Table => Ok(ExportKind::Table),
        ExternalKind::Memory => Ok(ExportKind::Memory),
        ExternalKind::Global => Ok(ExportKind::Global),
        ExternalKind::Tag => Ok(ExportKind::Tag),
    }
}

const _: () = assert!(SectionId::Data as u8 == 11);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(wat: &str) -> Result<GuestBinary, UnfitBinary> {
        GuestBinary::parse(&wat::parse_str(wat).expect("the test module is well formed"))
    }

    #[test]
    fn data_becomes_memory_and_code_loses_it() {
        let binary = parse(
            r#"(module (memory (export "memory") 2)
                 (global $sp (mut i32) (i32.const 4096))
                 (func (export "f") (result i32) global.get $sp)
                 (data (i32.const 5000) "hello"))"#,
        )
        .expect("a plain module is fit");
        assert_eq!(binary.memory.len(), 2 * WASM_PAGE_BYTES);
        assert_eq!(&binary.memory[5000..5005], b"hello");
        assert_eq!(binary.stack_pointer, 4096);
        let code = GuestBinary::parse(&binary.code).expect("what comes out parses again");
        assert!(code.memory.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn what_an_image_cannot_carry_is_refused_by_name() {
        for (wat, words) in [
            ("(module (func (export \"f\")))", "no memory"),
            (
                "(module (memory 1) (func (export \"f\")))",
                "no mutable global",
            ),
            (
                "(module (memory 1) (global (mut i32) (i32.const 0)) (func (export \"f\")) (data \"x\"))",
                "passive data",
            ),
            (
                "(module (memory 1) (global (mut i32) (i32.const 0)) (func (export \"f\")) (data (i32.const 65535) \"xy\"))",
                "outside its memory",
            ),
        ] {
            let error = parse(wat).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
