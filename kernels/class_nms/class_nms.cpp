// CPU twin of `class_nms`: each candidate is compared with the kept boxes of its class, sixteen at a time.
#include "class_nms.h"

namespace vidgraph::KERNEL_ISA {
namespace {

bool overlaps_any(const KeptBlock& block, Box box, float area, float max_iou) {
  int any = 0;
  for (int l = 0; l < kBlockBoxes; ++l) {
    const Box kept{block.x1[l], block.y1[l], block.x2[l], block.y2[l]};
    any |= box_iou(kept, block.areas[l], box, area, 0.f) > max_iou;
  }
  return any;
}

KeptBlock* begin_block(KeptBoxes* kept, int64_t group) {
  KeptBlock* block = kept->blocks + kept->block_count;
  for (int l = 0; l < kBlockBoxes; ++l) {
    block->x1[l] = block->y1[l] = block->x2[l] = block->y2[l] = block->areas[l] = __builtin_nanf("");
  }
  block->before = kept->newest[group];
  block->taken = 0;
  kept->newest[group] = kept->block_count++;
  return block;
}

void keep(Box box, float area, int64_t row, int64_t group, KeptBoxes* kept) {
  const int64_t newest = kept->newest[group];
  const bool full = newest < 0 || kept->blocks[newest].taken == kBlockBoxes;
  KeptBlock* block = full ? begin_block(kept, group) : kept->blocks + newest;
  const int64_t at = block->taken++;
  block->x1[at] = box.x1;
  block->y1[at] = box.y1;
  block->x2[at] = box.x2;
  block->y2[at] = box.y2;
  block->areas[at] = area;
  kept->rows[kept->count++] = row;
}

}  // namespace

void keep_by_class(const int64_t* rows, const int64_t* groups, int64_t count, const Box* boxes, float max_iou,
                   int64_t limit, KeptBoxes* kept) {
  for (int64_t i = 0; i < count && kept->count < limit; ++i) {
    const Box box = boxes[rows[i]];
    const float area = box_area(box, 0.f);
    bool dropped = false;
    for (int64_t at = kept->newest[groups[i]]; at >= 0 && !dropped; at = kept->blocks[at].before) {
      dropped = overlaps_any(kept->blocks[at], box, area, max_iou);
    }
    if (!dropped) keep(box, area, rows[i], groups[i], kept);
  }
}

}  // namespace vidgraph::KERNEL_ISA
