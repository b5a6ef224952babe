//! Instruments a core module: adds one imported function and two globals.

use std::convert::Infallible;

use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection,
    EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    ImportSection, MemorySection, Module, NameMap, NameSection, Section, StartSection,
    TableSection, TypeSection, ValType,
    reencode::{Error, Reencode},
};
use wasmparser::{
    CustomSectionReader, Export, ExternalKind, FunctionBody, KnownCustom, Name, Parser, Payload,
    TypeRef,
};

use super::{
    METER, SHOW, START,
    function::{self, Meter},
};

const COUNT: &str = "count";
/// Maximum count of a call without reports: many times what a reasonable allocator needs.
const ASIDE: i64 = 1 << 30;
const LIMIT: &str = "limit";
/// The type of the argument and result of [`SHOW`], and of the globals.
const NUMBER: GlobalType = GlobalType { val_type: ValType::I64, mutable: true, shared: false };

struct Rewriter {
    meter: Meter,
    /// Number of parameters of each function type.
    parameters: Vec<u32>,
    /// The types of the functions defined in this module.
    types: Vec<u32>,
    /// The functions that are exported through a wrapper, and the kind of wrapper.
    wrapped: Vec<(u32, Wrapping)>,
    /// The offsets of the unlikely branches in each function so far.
    unlikely: Vec<Vec<u32>>,
}

/// The wrapper around a function that the host calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapping {
    /// A regular call: the count is reported at the end.
    Entry,
    /// A function that the canonical ABI calls while arguments or results are passed, when the guest must not
    /// call the host: the count is not reported, unless it exceeds the maximum, which stops the guest.
    Aside,
}

/// The sections of a module, in order.
#[derive(Default)]
struct Sections {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    start: Option<u32>,
    elements: ElementSection,
    data_count: Option<u32>,
    code: CodeSection,
    data: DataSection,
    /// The names of functions.
    names: NameMap,
}

/// Instruments a core module.
pub(super) fn instrument(bytes: &[u8]) -> Result<Module, Error<Infallible>> {
    let mut rewriter = Rewriter::of(bytes)?;
    let mut sections = Sections::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let s = &mut sections;
        match payload? {
            Payload::TypeSection(types) => rewriter.parse_type_section(&mut s.types, types)?,
            Payload::ImportSection(i) => rewriter.parse_import_section(&mut s.imports, i)?,
            Payload::FunctionSection(f) => rewriter.parse_function_section(&mut s.functions, f)?,
            Payload::TableSection(tables) => rewriter.parse_table_section(&mut s.tables, tables)?,
            Payload::MemorySection(m) => rewriter.parse_memory_section(&mut s.memories, m)?,
            Payload::GlobalSection(g) => rewriter.parse_global_section(&mut s.globals, g)?,
            Payload::ExportSection(exports) => {
                for export in exports {
                    rewriter.export(&mut s.exports, export?)?;
                }
            }
            Payload::StartSection { func, .. } => s.start = Some(rewriter.function_index(func)?),
            Payload::ElementSection(e) => rewriter.parse_element_section(&mut s.elements, e)?,
            Payload::DataCountSection { count, .. } => s.data_count = Some(count),
            Payload::CodeSectionEntry(body) => rewriter.parse_function_body(&mut s.code, body)?,
            Payload::DataSection(data) => rewriter.parse_data_section(&mut s.data, data)?,
            Payload::Version { .. } | Payload::CodeSectionStart { .. } | Payload::End(_) => {}
            Payload::CustomSection(section) => rewriter.parse_names(&mut s.names, &section),
            _ => return Err(Error::UnexpectedNonCoreModuleSection),
        }
    }
    rewriter.add_meter(&mut sections)?;
    Ok(sections.write(&rewriter.branch_hints()))
}

impl Rewriter {
    /// Determines the meter's indices, which follow the last import of their kind.
    fn of(bytes: &[u8]) -> Result<Self, Error<Infallible>> {
        let (mut functions, mut globals) = (0, 0);
        let (mut parameters, mut types) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        let inner = group?.into_types().map(|ty| ty.composite_type);
                        let of = |ty: wasmparser::CompositeType| match ty.inner {
                            wasmparser::CompositeInnerType::Func(f) => f.params().len() as u32,
                            _ => 0,
                        };
                        parameters.extend(inner.map(of));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) => functions += 1,
                            TypeRef::Global(_) => globals += 1,
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    types = section.into_iter().collect::<Result<_, _>>()?;
                }
                _ => {}
            }
        }
        let meter = Meter { count: globals, limit: globals + 1, show: functions };
        Ok(Self { meter, parameters, types, wrapped: Vec::new(), unlikely: Vec::new() })
    }

    /// Returns the type of a function defined in this module, by the guest's index.
    fn type_of(&self, function: u32) -> Option<u32> {
        self.types.get(function.checked_sub(self.meter.show)? as usize).copied()
    }

    /// Exports what the module exported; functions that the host calls are exported through a wrapper.
    fn export(
        &mut self,
        exports: &mut ExportSection,
        export: Export<'_>,
    ) -> Result<(), Error<Infallible>> {
        let wrapping = Wrapping::of(export.name)
            .filter(|_| export.kind == ExternalKind::Func && self.type_of(export.index).is_some());
        let Some(wrapping) = wrapping else { return self.parse_export(exports, export) };
        let first = self.function_index(self.meter.show + self.types.len() as u32)?;
        exports.export(export.name, ExportKind::Func, first + self.wrapped.len() as u32);
        self.wrapped.push((export.index, wrapping));
        Ok(())
    }

    /// Keeps the names of functions. Producers and the hints of moved branches are dropped. Validation does
    /// not cover names, so parsing stops where a section is damaged.
    fn parse_names(&mut self, names: &mut NameMap, section: &CustomSectionReader<'_>) {
        let KnownCustom::Name(subsections) = section.as_known() else { return };
        for subsection in subsections.into_iter().map_while(Result::ok) {
            let Name::Function(functions) = subsection else { continue };
            for named in functions.into_iter().map_while(Result::ok) {
                if let Ok(index) = self.function_index(named.index) {
                    names.append(index, named.name);
                }
            }
        }
    }

    fn add_meter(&mut self, sections: &mut Sections) -> Result<(), Error<Infallible>> {
        sections.types.ty().function([ValType::I64], [ValType::I64]);
        let show = EntityType::Function(self.parameters.len() as u32);
        sections.imports.import(METER, SHOW, show);
        sections.imports.import(METER, COUNT, NUMBER).import(METER, LIMIT, NUMBER);
        for (function, wrapping) in std::mem::take(&mut self.wrapped) {
            let Some(kind) = self.type_of(function) else { continue };
            let parameters = self.parameters.get(kind as usize).copied().unwrap_or(0);
            let inner = self.function_index(function)?;
            sections.functions.function(kind);
            sections.code.function(&wrapping.around(inner, parameters, self.meter));
        }
        Ok(())
    }

    fn branch_hints(&self) -> BranchHints {
        let mut hints = BranchHints::new();
        for (function, places) in (self.meter.show + 1..).zip(&self.unlikely) {
            let unlikely =
                |place: &u32| BranchHint { branch_func_offset: *place, branch_hint_value: 0 };
            if !places.is_empty() {
                hints.function_hints(function, places.iter().map(unlikely));
            }
        }
        hints
    }
}

impl Reencode for Rewriter {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(index.saturating_add(u32::from(index >= self.meter.show)))
    }

    fn global_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(index + if index >= self.meter.count { 2 } else { 0 })
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let type_of = self.types.get(self.unlikely.len());
        let parameters = type_of.and_then(|ty| self.parameters.get(*ty as usize)).copied();
        let meter = self.meter;
        let metered = function::instrument(self, meter, parameters.unwrap_or(0), body)?;
        code.function(&metered.function);
        self.unlikely.push(metered.unlikely);
        Ok(())
    }
}

impl Wrapping {
    /// Determines the wrapper from the export names that toolchains use.
    fn of(export: &str) -> Option<Self> {
        let aside = ["cabi_", "canonical_abi_", "cm32p2_"].iter().any(|p| export.starts_with(p));
        if aside || export.ends_with("_post") {
            return Some(Self::Aside);
        }
        let entry = export.contains('#') || export.starts_with("cm32p2|");
        entry.then_some(Self::Entry)
    }

    /// Builds a wrapper that calls the inner function with the given number of parameters.
    fn around(self, inner: u32, parameters: u32, meter: Meter) -> Function {
        let Meter { count, limit, show } = meter;
        let mut function = Function::new([(1, ValType::I64)]);
        let mut code = function.instructions();
        if self == Self::Aside {
            code.global_get(count).local_set(parameters).i64_const(-ASIDE).global_set(count);
        }
        for parameter in 0..parameters {
            code.local_get(parameter);
        }
        code.call(inner).global_get(count);
        match self {
            Self::Entry => {
                code.call(show).global_set(limit).i64_const(0);
            }
            Self::Aside => {
                code.i64_const(ASIDE).i64_add().local_get(parameters).i64_add();
            }
        }
        code.global_set(count).end();
        function
    }
}

/// Builds the module that all others share: it has the count and the limit, and passes the function on.
pub(super) fn meter() -> Module {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I64], [ValType::I64]);
    let mut imports = ImportSection::new();
    imports.import(METER, SHOW, EntityType::Function(0));
    let mut globals = GlobalSection::new();
    globals.global(NUMBER, &ConstExpr::i64_const(START)).global(NUMBER, &ConstExpr::i64_const(0));
    let mut exports = ExportSection::new();
    exports.export(SHOW, ExportKind::Func, 0).export(COUNT, ExportKind::Global, 0).export(
        LIMIT,
        ExportKind::Global,
        1,
    );
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&globals).section(&exports);
    module
}

impl Sections {
    fn write(&self, hints: &BranchHints) -> Module {
        fn add(module: &mut Module, section: &impl Section, is_empty: bool) {
            if !is_empty {
                module.section(section);
            }
        }
        let mut module = Module::new();
        add(&mut module, &self.types, self.types.is_empty());
        add(&mut module, &self.imports, self.imports.is_empty());
        add(&mut module, &self.functions, self.functions.is_empty());
        add(&mut module, &self.tables, self.tables.is_empty());
        add(&mut module, &self.memories, self.memories.is_empty());
        add(&mut module, &self.globals, self.globals.is_empty());
        add(&mut module, &self.exports, self.exports.is_empty());
        if let Some(function_index) = self.start {
            module.section(&StartSection { function_index });
        }
        add(&mut module, &self.elements, self.elements.is_empty());
        if let Some(count) = self.data_count {
            module.section(&DataCountSection { count });
        }
        add(&mut module, hints, self.code.is_empty());
        add(&mut module, &self.code, self.code.is_empty());
        add(&mut module, &self.data, self.data.is_empty());
        if !self.names.is_empty() {
            let mut names = NameSection::new();
            names.functions(&self.names);
            module.section(&names);
        }
        module
    }
}
