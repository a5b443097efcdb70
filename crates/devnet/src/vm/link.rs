//! Resolves everything a module uses.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use sui_sdk_types::{Address, Identifier};

use super::binary::{DatatypeDef, DatatypeHandle, FunctionDef, Op, Tables, Token, VariantAction};
use super::codec;
use super::error::VmError;
use super::module::{
    Body, Callee, Code, Function, Linker, Module, OUT_OF_RANGE, bad, module_name, pick, self_name,
};
use super::natives;
use super::session::Visibility;
use super::types::{Datatype, Rule, STD, SUI, Type};
use super::u256;
use super::value::Value;

impl Module {
    /// Links a module of the package with storage identifier `package`.
    pub(crate) fn link(tables: Tables, package: Address, linker: &mut dyn Linker) -> Result<Self, VmError> {
        let (original, name) = self_name(&tables)?;
        let name = name.clone();
        let mut link = Link {
            tables: &tables,
            own: Vec::new(),
            modules: Vec::new(),
            handles: Vec::new(),
            own_handles: Vec::new(),
        };
        for handle in &tables.modules {
            let (address, other) = module_name(&tables, *handle)?;
            let is_self = address == original && *other == name;
            link.modules.push(if is_self { None } else { Some(linker.module(address, other)?) });
        }
        link.declare(original, &name, linker)?;
        link.resolve_datatypes()?;
        link.define()?;
        let signatures = tables
            .signatures
            .iter()
            .map(|tokens| tokens.iter().map(|token| link.ty(token)).collect())
            .collect::<Result<Vec<Arc<[Type]>>, _>>()?;
        let mut constants = Vec::with_capacity(tables.constants.len());
        // Their size is limited by the module's.
        let mut unlimited = u64::MAX;
        for (token, bytes) in &tables.constants {
            constants.push(codec::decode(&link.ty(token)?, bytes, &mut unlimited)?);
        }
        let mut functions = Vec::with_capacity(tables.functions.len());
        for definition in &tables.functions {
            functions.push(link.function(definition, &signatures, original, &name)?);
        }
        let mut by_name = HashMap::new();
        for (index, function) in functions.iter().enumerate() {
            let index = u16::try_from(index).map_err(|_| bad(OUT_OF_RANGE))?;
            if by_name.insert(function.name.clone(), index).is_some() {
                return Err(bad(format!("two functions are named {}", function.name)));
            }
        }
        let callees = link.callees(&by_name, &functions, &signatures, original, &name)?;
        let friends = tables
            .friends
            .iter()
            .map(|handle| module_name(&tables, *handle).map(|(address, name)| (address, name.clone())))
            .collect::<Result<_, _>>()?;
        let uses =
            tables.modules.iter().map(|handle| module_name(&tables, *handle).map(|(package, _)| package));
        let uses = uses.collect::<Result<_, _>>()?;
        let datatype_names: Vec<_> = link.own.iter().map(|datatype| datatype.name.clone()).collect();
        let datatypes: HashMap<_, _> =
            link.own.iter().map(|datatype| (datatype.name.clone(), Arc::clone(datatype))).collect();
        if datatypes.len() != datatype_names.len() {
            return Err(bad("two datatypes have the same name"));
        }
        let instances = tables.function_instances;
        for &(handle, signature) in &instances {
            pick(&callees, handle)?;
            pick(&signatures, signature)?;
        }
        Ok(Self {
            package,
            original,
            name,
            functions,
            by_name,
            datatypes,
            datatype_names,
            uses,
            friends,
            callees,
            instances,
            signatures,
            constants,
        })
    }
}

struct Link<'t> {
    tables: &'t Tables,
    /// Structs, then enums.
    own: Vec<Arc<Datatype>>,
    /// By module handle; `None` is the module itself.
    modules: Vec<Option<Arc<Module>>>,
    /// By datatype handle.
    handles: Vec<Arc<Datatype>>,
    /// By datatype handle: index among the module's own datatypes.
    own_handles: Vec<Option<usize>>,
}

impl Link<'_> {
    /// Makes the module's own datatypes, without their fields.
    fn declare(
        &mut self,
        original: Address,
        module: &Identifier,
        linker: &dyn Linker,
    ) -> Result<(), VmError> {
        let structs = self.tables.structs.iter().map(|definition| (definition, false));
        let enums = self.tables.enums.iter().map(|definition| (definition, true));
        for (definition, is_enum) in structs.chain(enums) {
            let handle = pick(&self.tables.datatype_handles, definition.handle)?;
            if pick(&self.modules, handle.module)?.is_some() {
                return Err(bad("it defines a datatype of another module"));
            }
            let name = pick(&self.tables.identifiers, handle.name)?.clone();
            self.own.push(Arc::new(Datatype {
                origin: linker.origin(module, &name),
                original,
                module: module.clone(),
                rule: Rule::of(original, module, &name),
                name,
                abilities: handle.abilities,
                params: handle.params.clone(),
                is_enum,
                variants: OnceLock::new(),
            }));
        }
        Ok(())
    }

    fn resolve_datatypes(&mut self) -> Result<(), VmError> {
        let own: HashMap<&Identifier, usize> =
            self.own.iter().enumerate().map(|(index, datatype)| (&datatype.name, index)).collect();
        for handle in &self.tables.datatype_handles {
            let name = pick(&self.tables.identifiers, handle.name)?;
            let own = match pick(&self.modules, handle.module)? {
                None => own.get(name).copied(),
                Some(_) => None,
            };
            self.own_handles.push(own);
            let found = match pick(&self.modules, handle.module)? {
                None => own.and_then(|index| self.own.get(index)),
                Some(module) => module.datatypes.get(name),
            };
            let found = found.ok_or_else(|| bad(format!("there is no datatype {name}")))?;
            if !compatible(handle, found) {
                return Err(bad(format!("datatype {name} is not what it is declared as")));
            }
            self.handles.push(Arc::clone(found));
        }
        Ok(())
    }

    /// Gives the module's own datatypes their fields.
    fn define(&self) -> Result<(), VmError> {
        let definitions: Vec<&DatatypeDef> = self.tables.structs.iter().chain(&self.tables.enums).collect();
        self.check_recursion(&definitions)?;
        for (definition, datatype) in definitions.iter().zip(&self.own) {
            let mut variants = Vec::new();
            for variant in &definition.variants {
                let fields: Result<Vec<_>, _> =
                    variant.fields.iter().map(|token| self.field(token)).collect();
                variants.push(fields?);
            }
            if datatype.variants.set(variants).is_err() {
                return Err(bad("a datatype is defined twice"));
            }
        }
        Ok(())
    }

    fn field(&self, token: &Token) -> Result<Type, VmError> {
        let ty = self.ty(token)?;
        if ty.is_reference() { Err(bad("a field is a reference")) } else { Ok(ty) }
    }

    /// Refuses datatypes that contain themselves: they could have no value, and would keep
    /// themselves in memory.
    fn check_recursion(&self, definitions: &[&DatatypeDef]) -> Result<(), VmError> {
        // For each datatype, those that contain it, and how many it contains.
        let mut containers: Vec<Vec<usize>> = vec![Vec::new(); definitions.len()];
        let mut contained = vec![0usize; definitions.len()];
        for (at, definition) in definitions.iter().enumerate() {
            let mut tokens: Vec<&Token> = definition.variants.iter().flat_map(|v| &v.fields).collect();
            while let Some(token) = tokens.pop() {
                match token {
                    Token::Vector(of) | Token::Reference(of) | Token::MutableReference(of) => tokens.push(of),
                    Token::Datatype(handle, args) => {
                        tokens.extend(args);
                        if let Some(used) = *pick(&self.own_handles, *handle)? {
                            containers.get_mut(used).ok_or_else(|| bad(OUT_OF_RANGE))?.push(at);
                            contained[at] += 1;
                        }
                    }
                    _ => {}
                }
            }
        }
        // Take away datatypes that contain none of the rest until nothing is left.
        let mut ready: Vec<usize> = (0..contained.len()).filter(|&at| contained[at] == 0).collect();
        let mut left = contained.len();
        while let Some(done) = ready.pop() {
            left -= 1;
            for &container in &containers[done] {
                contained[container] -= 1;
                if contained[container] == 0 {
                    ready.push(container);
                }
            }
        }
        if left == 0 { Ok(()) } else { Err(bad("a datatype contains itself")) }
    }

    fn ty(&self, token: &Token) -> Result<Type, VmError> {
        Ok(match token {
            Token::Bool => Type::Bool,
            Token::U8 => Type::U8,
            Token::U16 => Type::U16,
            Token::U32 => Type::U32,
            Token::U64 => Type::U64,
            Token::U128 => Type::U128,
            Token::U256 => Type::U256,
            Token::Address => Type::Address,
            Token::Signer => Type::Signer,
            Token::Vector(of) => Type::vector(self.ty(of)?)?,
            Token::Param(index) => Type::Param(*index),
            Token::Reference(of) => Type::reference(self.ty(of)?)?,
            Token::MutableReference(of) => Type::mutable_reference(self.ty(of)?)?,
            Token::Datatype(handle, args) => {
                let args = args.iter().map(|arg| self.ty(arg)).collect::<Result<_, _>>()?;
                Type::datatype(Arc::clone(pick(&self.handles, *handle)?), args)?
            }
        })
    }

    fn function(
        &self,
        definition: &FunctionDef,
        signatures: &[Arc<[Type]>],
        original: Address,
        module: &Identifier,
    ) -> Result<Function, VmError> {
        let handle = pick(&self.tables.function_handles, definition.handle)?;
        if pick(&self.modules, handle.module)?.is_some() {
            return Err(bad("it defines a function of another module"));
        }
        let name = pick(&self.tables.identifiers, handle.name)?.clone();
        let params = pick(signatures, handle.params)?.clone();
        let body = match &definition.code {
            None if original == STD || original == SUI => {
                Body::Native(natives::find(original, module.as_str(), name.as_str()))
            }
            None => return Err(bad(format!("function {name} is native"))),
            Some(unit) => {
                let locals = params.len() + pick(signatures, unit.locals)?.len();
                let ops = unit.ops.iter().map(|op| self.op(*op, locals)).collect::<Result<_, _>>()?;
                let wide = unit
                    .wide
                    .iter()
                    .map(|wide| match wide {
                        super::binary::Wide::U128(bytes) => Value::u128(u128::from_le_bytes(*bytes)),
                        super::binary::Wide::U256(bytes) => Value::U256(u256::from_le(*bytes)),
                    })
                    .collect();
                Body::Code(Code { ops, locals, wide, jump_tables: unit.jump_tables.clone() })
            }
        };
        let visibility = match definition.visibility {
            0 => Visibility::Private,
            1 => Visibility::Public,
            _ => Visibility::Friend,
        };
        Ok(Function {
            name,
            visibility,
            entry: definition.entry,
            type_params: handle.type_params.clone(),
            params,
            returns: pick(signatures, handle.returns)?.clone(),
            body,
        })
    }

    /// Resolves the operand of an instruction.
    fn op(&self, op: Op, locals: usize) -> Result<Op, VmError> {
        let tables = self.tables;
        let field = |handle| -> Result<Op, VmError> {
            let &(owner, field) = pick(&tables.fields, handle)?;
            pick(&variant(&tables.structs, owner, 0)?.fields, field)?;
            Ok(Op::BorrowField(field))
        };
        let fields = |definition| -> Result<u16, VmError> {
            Ok(variant(&tables.structs, definition, 0)?.fields.len() as u16)
        };
        let plain = |action, handle| -> Result<Op, VmError> {
            let &(owner, tag) = pick(&tables.variants, handle)?;
            let fields = variant(&tables.enums, owner, tag)?.fields.len() as u16;
            Ok(Op::Variant { action, tag, fields })
        };
        let generic = |action, handle| -> Result<Op, VmError> {
            let &(instance, tag) = pick(&tables.variant_instances, handle)?;
            let &(owner, _) = pick(&tables.enum_instances, instance)?;
            let fields = variant(&tables.enums, owner, tag)?.fields.len() as u16;
            Ok(Op::Variant { action, tag, fields })
        };
        Ok(match op {
            Op::CopyLoc(index) | Op::MoveLoc(index) | Op::StLoc(index) | Op::BorrowLoc(index) => {
                if usize::from(index) >= locals {
                    return Err(bad(OUT_OF_RANGE));
                }
                op
            }
            Op::LdConst(index) => pick(&tables.constants, index).map(|_| op)?,
            Op::Call(index) => pick(&tables.function_handles, index).map(|_| op)?,
            Op::CallGeneric(index) => pick(&tables.function_instances, index).map(|_| op)?,
            Op::VecPack(signature, _) => match pick(&tables.signatures, signature)?.len() {
                1 => op,
                _ => return Err(bad("a vector of several types")),
            },
            Op::BorrowField(handle) => field(handle)?,
            Op::BorrowFieldGeneric(instance) => field(pick(&tables.field_instances, instance)?.0)?,
            Op::Pack(definition) => Op::Pack(fields(definition)?),
            Op::PackGeneric(instance) => Op::Pack(fields(pick(&tables.struct_instances, instance)?.0)?),
            Op::Unpack(definition) => Op::Unpack(fields(definition)?),
            Op::UnpackGeneric(instance) => Op::Unpack(fields(pick(&tables.struct_instances, instance)?.0)?),
            Op::PackVariant(handle) => plain(VariantAction::Pack, handle)?,
            Op::UnpackVariant(handle) => plain(VariantAction::Unpack, handle)?,
            Op::BorrowVariant(handle) => plain(VariantAction::Borrow, handle)?,
            Op::PackVariantGeneric(handle) => generic(VariantAction::Pack, handle)?,
            Op::UnpackVariantGeneric(handle) => generic(VariantAction::Unpack, handle)?,
            Op::BorrowVariantGeneric(handle) => generic(VariantAction::Borrow, handle)?,
            Op::Global(name) => return Err(VmError::Unsupported(name.into())),
            plain => plain,
        })
    }

    /// Resolves the functions that the module calls, and checks that it may call them.
    fn callees(
        &self,
        by_name: &HashMap<Identifier, u16>,
        functions: &[Function],
        signatures: &[Arc<[Type]>],
        original: Address,
        name: &Identifier,
    ) -> Result<Vec<Callee>, VmError> {
        let mut callees = Vec::with_capacity(self.tables.function_handles.len());
        for handle in &self.tables.function_handles {
            let callee = pick(&self.tables.identifiers, handle.name)?;
            let missing = || bad(format!("there is no function {callee}"));
            let (found, function) = match pick(&self.modules, handle.module)? {
                None => {
                    let index = *by_name.get(callee).ok_or_else(missing)?;
                    (Callee::Own(index), pick(functions, index)?)
                }
                Some(module) => {
                    let (index, function) = module.function(callee).ok_or_else(missing)?;
                    let allowed = match function.visibility {
                        Visibility::Public => true,
                        Visibility::Friend => module.friends.iter().any(|(a, n)| *a == original && n == name),
                        Visibility::Private => false,
                    };
                    if !allowed {
                        return Err(bad(format!("function {callee} may not be called from here")));
                    }
                    (Callee::Other(Arc::clone(module), index), function)
                }
            };
            let same = function.type_params == handle.type_params
                && function.params == *pick(signatures, handle.params)?
                && function.returns == *pick(signatures, handle.returns)?;
            if !same {
                return Err(bad(format!("function {callee} is not what it is declared as")));
            }
            callees.push(found);
        }
        Ok(callees)
    }
}

fn variant(
    definitions: &[DatatypeDef],
    definition: u16,
    tag: u16,
) -> Result<&super::binary::VariantDef, VmError> {
    pick(&pick(definitions, definition)?.variants, tag)
}

/// Whether a datatype can be used through a handle: as many parameters, no more abilities asked for.
fn compatible(handle: &DatatypeHandle, datatype: &Datatype) -> bool {
    handle.abilities & !datatype.abilities == 0 && handle.params.len() == datatype.params.len()
}

#[cfg(test)]
mod tests {
    use super::super::binary::{ModuleHandle, VariantDef};
    use super::*;

    struct Nothing;

    impl Linker for Nothing {
        fn module(&mut self, package: Address, module: &Identifier) -> Result<Arc<Module>, VmError> {
            Err(VmError::MissingModule { package, module: module.clone() })
        }

        fn origin(&self, _: &Identifier, _: &Identifier) -> Address {
            Address::ZERO
        }
    }

    /// Links a module `m` with structs of one field each.
    fn link(fields: Vec<Token>) -> Result<Module, VmError> {
        let names = ["m".to_owned()].into_iter().chain((0..fields.len()).map(|index| format!("S{index}")));
        let handle = |index: usize| DatatypeHandle {
            module: 0,
            name: index as u16 + 1,
            abilities: 0,
            params: Vec::new(),
        };
        let definition = |(index, field)| DatatypeDef {
            handle: index as u16,
            variants: vec![VariantDef { fields: vec![field], ..VariantDef::default() }],
        };
        let tables = Tables {
            modules: vec![ModuleHandle { address: 0, name: 0 }],
            addresses: vec![Address::ZERO],
            identifiers: names.map(|name| Identifier::new(name).unwrap()).collect(),
            datatype_handles: (0..fields.len()).map(handle).collect(),
            structs: fields.into_iter().enumerate().map(definition).collect(),
            ..Tables::default()
        };
        Module::link(tables, Address::ZERO, &mut Nothing)
    }

    fn of(index: u16) -> Token {
        Token::Datatype(index, Vec::new())
    }

    #[test]
    fn datatypes_do_not_contain_themselves() {
        assert!(link(vec![Token::U8, of(0), of(1)]).is_ok());
        assert!(link(vec![of(1), of(2), Token::Bool]).is_ok());
        for circle in
            [vec![of(0)], vec![of(1), of(0)], vec![Token::U8, Token::Vector(Box::new(of(2))), of(1)]]
        {
            let error = link(circle).unwrap_err();
            assert!(error.to_string().contains("contains itself"), "{error}");
        }
    }

    #[test]
    fn indices_are_checked() {
        assert!(link(vec![of(7)]).unwrap_err().to_string().contains("out of range"));
        assert!(
            link(vec![Token::Reference(Box::new(Token::U8))]).unwrap_err().to_string().contains("reference")
        );
    }
}
