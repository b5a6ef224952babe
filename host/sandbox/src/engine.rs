use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::limits::Limits;

/// Entries of a guest's tables, that is, its indirect functions; CPython has some 10,000.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// Functions that the backtrace of a trap names.
const FRAMES: usize = 20;

/// A component made by composition, or from a language with a runtime, has several core instances and
/// memories.
const CORE_INSTANCES: u32 = 64;
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;

/// Instances come from a pool, calls are metered, and nothing that could differ from run to run
/// is on. The compiled code depends on this configuration: the cache and the compile worker share it.
pub(crate) fn engine(limits: &Limits) -> wasmtime::Result<Engine> {
    Engine::new(config().allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits))))
}

/// Compiles only: without a pool, whose address space a worker has no use for.
pub(crate) fn compiling_engine() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}

fn config() -> Config {
    let mut config = Config::new();
    config
        // The guest is metered by code of its own (see metering), which says which branches are rare.
        .wasm_branch_hinting(true)
        // Nothing is async in the contract, and calls are cheaper without the machinery.
        .concurrency_support(false)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        .max_wasm_stack(1 << 20)
        .async_stack_size(2 << 20)
        // Whole 32-bit address spaces with guards make bounds checks free.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        // Snapshots of initialised memories are mapped copy-on-write: instances cost their dirty pages.
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
        // What a small plugin touches is cleared in place: dropping the pages and faulting them in again
        // costs several times as much.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(64 << 10)
        .max_unused_warm_slots(instances)
        // Where the kernel can tell which pages are dirty, only those are cleared.
        .pagemap_scan(Enabled::Auto);
    pool
}
