// Means of the luma of blocks of a picture.
#pragma once

#include "../native/kernel.h"

namespace vidgraph {

namespace KERNEL_ISA {

// Rows from one that is read to the next: four of a block, or all where it has fewer.
KERNEL_HD inline int row_step(int block) { return block < 8 ? 1 : block / 4; }

}  // namespace KERNEL_ISA

// Bytes of scratch memory: a sum for each sample of a row.
inline size_t luma_means_workspace(int width) { return static_cast<size_t>(width) * 3 * sizeof(uint16_t); }

// `out` [ceil(height / block)][ceil(width / block)], in 1/256 of an 8-bit step; `block` from 1 to 256.
KERNEL_ENTRY(luma_means, const PictureView& picture, int block, void* workspace, uint16_t* out)

}  // namespace vidgraph
