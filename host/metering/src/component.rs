//! Passes the meter through a component: the component imports it and hands it to each of its core modules
//! and nested components.

use std::convert::Infallible;

use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentExportKind,
    ComponentImportSection, ComponentInstanceSection, ComponentTypeRef, ComponentTypeSection,
    ExportKind, InstanceSection, InstanceType, ModuleArg, ModuleSection, NestedComponentSection,
    PrimitiveValType,
    reencode::{Error, Reencode, ReencodeComponent, component_utils},
};
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentInstance, CustomSectionReader, Instance,
    InstantiationArgKind, Parser,
};

use super::{METER, SHOW, module};

pub(super) fn instrument(component: &[u8]) -> Result<Vec<u8>, Error<Infallible>> {
    let mut rewriter = Rewriter { scopes: Vec::new() };
    Ok(rewriter.component(Parser::new(0), component, component)?.finish())
}

/// What an index refers to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// A component, in which the meter takes the first index of each kind that it needs.
    Component,
    /// The declarations within a type, which are not changed.
    Type,
}

/// The core instance with the function, the count and the limit. It is built from the instance before it.
const METER_INSTANCE: u32 = 1;

struct Rewriter {
    scopes: Vec<Scope>,
}

impl Rewriter {
    fn component(
        &mut self,
        parser: Parser,
        bytes: &[u8],
        whole: &[u8],
    ) -> Result<Component, Error<Infallible>> {
        self.scopes.push(Scope::Component);
        let mut component = Component::new();
        import_meter(&mut component);
        component_utils::parse_component(self, &mut component, parser, bytes, whole)?;
        self.scopes.pop();
        Ok(component)
    }

    /// Shifts an index past those of the meter, which adds one of every kind except core instances.
    fn moved(&self, index: u32, outward: u32) -> u32 {
        let scope = self.scopes.iter().rev().nth(outward as usize);
        index + u32::from(scope == Some(&Scope::Component))
    }
}

/// Imports the meter as the first instance, and combines it with the count and the limit into a core
/// instance.
fn import_meter(component: &mut Component) {
    let mut meter = InstanceType::new();
    meter
        .ty()
        .function()
        .params([("count", PrimitiveValType::S64)])
        .result(Some(PrimitiveValType::S64.into()));
    meter.export(SHOW, ComponentTypeRef::Func(0));
    let mut types = ComponentTypeSection::new();
    types.instance(&meter);
    let mut imports = ComponentImportSection::new();
    imports.import(METER, ComponentTypeRef::Instance(0));
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::InstanceExport {
        instance: 0,
        kind: ComponentExportKind::Func,
        name: SHOW,
    });
    let mut functions = CanonicalFunctionSection::new();
    functions.lower(0, []);
    let mut instances = InstanceSection::new();
    instances.export_items([(SHOW, ExportKind::Func, 0)]);
    instances.instantiate(0, [(METER, ModuleArg::Instance(0))]);
    component
        .section(&types)
        .section(&imports)
        .section(&aliases)
        .section(&functions)
        .section(&ModuleSection(&module::meter()))
        .section(&instances);
}

impl Reencode for Rewriter {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Infallible>> {
        Ok(self.moved(index, 0))
    }
}

impl ReencodeComponent for Rewriter {
    fn component_type_index(&mut self, index: u32) -> u32 {
        self.moved(index, 0)
    }

    fn outer_component_type_index(&mut self, outward: u32, index: u32) -> u32 {
        self.moved(index, outward)
    }

    fn component_instance_index(&mut self, index: u32) -> u32 {
        self.moved(index, 0)
    }

    fn component_func_index(&mut self, index: u32) -> u32 {
        self.moved(index, 0)
    }

    fn instance_index(&mut self, index: u32) -> u32 {
        index + (METER_INSTANCE + 1) * self.moved(0, 0)
    }

    fn module_index(&mut self, index: u32) -> u32 {
        self.moved(index, 0)
    }

    fn outer_module_index(&mut self, outward: u32, index: u32) -> u32 {
        self.moved(index, outward)
    }

    /// Removes the cleanup after calls by the host, because the instance ends with the call. Within a
    /// composition other components may call repeatedly, so the cleanup of nested components stays.
    fn parse_component_canonical(
        &mut self,
        functions: &mut CanonicalFunctionSection,
        function: CanonicalFunction,
    ) -> Result<(), Error<Infallible>> {
        let function = match function {
            CanonicalFunction::Lift { core_func_index, type_index, options }
                if self.scopes.len() == 1 =>
            {
                let cleans_up = |o: &CanonicalOption| matches!(o, CanonicalOption::PostReturn(_));
                let options = options.into_iter().filter(|o| !cleans_up(o)).collect();
                CanonicalFunction::Lift { core_func_index, type_index, options }
            }
            other => other,
        };
        component_utils::parse_component_canonical(self, functions, function)
    }

    fn push_depth(&mut self) {
        self.scopes.push(Scope::Type);
    }

    fn pop_depth(&mut self) {
        self.scopes.pop();
    }

    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _: Parser,
        bytes: &[u8],
    ) -> Result<(), Error<Infallible>> {
        component.section(&ModuleSection(&module::instrument(bytes)?));
        Ok(())
    }

    fn parse_component_subcomponent(
        &mut self,
        component: &mut Component,
        parser: Parser,
        bytes: &[u8],
        whole: &[u8],
    ) -> Result<(), Error<Infallible>> {
        let inner = self.component(parser, bytes, whole)?;
        component.section(&NestedComponentSection(&inner));
        Ok(())
    }

    /// Drops names and producers, which the compiler does not need.
    fn parse_component_custom_section(
        &mut self,
        _: &mut Component,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }

    fn parse_component_instance(
        &mut self,
        instances: &mut ComponentInstanceSection,
        instance: ComponentInstance<'_>,
    ) -> Result<(), Error<Infallible>> {
        let ComponentInstance::Instantiate { component_index, args } = instance else {
            return component_utils::parse_component_instance(self, instances, instance);
        };
        let given = args.iter().map(|arg| {
            (arg.name, arg.kind.into(), self.component_external_index(arg.kind, arg.index))
        });
        let meter = (METER, ComponentExportKind::Instance, 0);
        let all: Vec<_> = given.chain([meter]).collect();
        instances.instantiate(component_index, all);
        Ok(())
    }

    fn parse_instance(
        &mut self,
        instances: &mut InstanceSection,
        instance: Instance<'_>,
    ) -> Result<(), Error<Infallible>> {
        let Instance::Instantiate { module_index, args } = instance else {
            return component_utils::parse_instance(self, instances, instance);
        };
        let given = args.iter().map(|arg| match arg.kind {
            InstantiationArgKind::Instance => {
                (arg.name, ModuleArg::Instance(self.instance_index(arg.index)))
            }
        });
        let meter = (METER, ModuleArg::Instance(METER_INSTANCE));
        let all: Vec<_> = given.chain([meter]).collect();
        instances.instantiate(self.module_index(module_index), all);
        Ok(())
    }
}
