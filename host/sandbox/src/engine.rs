use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::Limits;

/// Maximum number of table elements (indirect functions) of a guest; CPython has about 10,000.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// Maximum number of functions in the backtrace of a trap.
const FRAMES: usize = 20;

/// Maximum numbers of core instances, memories and tables. Composed components, and languages with a runtime,
/// have several of each.
const CORE_INSTANCES: u32 = 64;
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;

/// Creates the engine for calls: instances come from a pool, calls are metered, and every non-deterministic
/// feature is off. Compiled code depends on this configuration, so the cache and the compile worker share it.
pub(crate) fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    Engine::new(config().allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits))))
}

/// Creates an engine that only compiles, without a pool, whose address space a worker does not need.
pub(crate) fn compiling_engine() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

fn config() -> Config {
    let mut config = Config::new();
    config
        // The metering code (see `haggle_metering`) marks its branches as unlikely.
        .wasm_branch_hinting(true)
        // The contract has no async functions, and calls are cheaper without that support.
        .concurrency_support(false)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        .max_wasm_stack(1 << 20)
        .async_stack_size(2 << 20)
        // Reserving whole 32-bit address spaces with guard pages makes bounds checks free.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        // Memory snapshots are mapped copy-on-write, so that an instance costs only its dirty pages.
        .memory_init_cow(true);
    config
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let instances = limits.instances.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances.saturating_mul(MEMORIES))
        .total_tables(instances.saturating_mul(TABLES))
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(limits.memory_bytes)
        // Memory that a small plugin touches is cleared in place: dropping the pages and faulting them in
        // again costs several times as much.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(64 << 10)
        .max_unused_warm_slots(instances)
        // If the kernel can report dirty pages, only those are cleared.
        .pagemap_scan(Enabled::Auto);
    pool
}
