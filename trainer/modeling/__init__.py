"""The models: FCOS-MO, Mask R-CNN*, and the parts they share."""
