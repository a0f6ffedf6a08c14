"""The architectures of transformers that are built from a folder, and the fields of their configurations.

An architecture of that library may do anything while it is built: ask another library for a checkpoint, fetch kernels,
unpickle. So what is built are those alone whose classes were read: their configurations are plain data, and from these
and the tensors that are handed to them they make a network and nothing else. Of a configuration only the fields reach
the library that these classes read; one that would lead elsewhere, or that the library knows and this list does not,
is refused by name, and what nobody reads is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Read in transformers 5.23; tests/models/transformers/test_known_architectures.py looks whether later ones read more
# fields.
_IMAGES = """
    Beit Bit CLIP ConvNext ConvNextV2 Cvt Data2VecVision DeiT Dinov2 Dinov2WithRegisters DonutSwin EfficientNet
    FocalNet HGNetV2 Hiera IJepa ImageGPT Levit MetaClip2 MobileNetV1 MobileNetV2 MobileViT MobileViTV2 PPLCNet
    PoolFormer Pvt PvtV2 RegNet ResNet Segformer Siglip Siglip2 SwiftFormer Swin Swinv2 TextNet ViT ViTMSN
"""
_TEXTS = """
    Albert Bart Bert BigBird Camembert Canine ConvBert Data2VecText Deberta DebertaV2 DistilBert Electra Ernie
    FNet Flaubert Funnel GPT2 GPTNeo Gemma Gemma2 IBert LayoutLM Llama Longformer MPNet MegatronBert Mistral
    MobileBert ModernBert Nystromformer OPT OpenAIGPT Qwen2 Qwen3 RemBert RoFormer Roberta RobertaPreLayerNorm
    SqueezeBert T5 XLM XLMRoberta XLMRobertaXL XLNet Xmod
"""
_SOUNDS = """
    Data2VecAudio Hubert SEW SEWD UniSpeech UniSpeechSat Wav2Vec2 Wav2Vec2Bert Wav2Vec2Conformer WavLM
"""
ARCHITECTURES = frozenset(
    [
        *(f"{name}ForImageClassification" for name in _IMAGES.split()),
        *(f"{name}ForImageClassificationWithTeacher" for name in ("DeiT", "Levit")),
        *(f"{name}ForSequenceClassification" for name in f"{_TEXTS} {_SOUNDS}".split()),
        *(f"{name}ForAudioClassification" for name in ("AST", "Whisper")),
    ]
)
_FIELDS = """
    activation activation_dropout activation_function adapter_act adapter_attn_dim adapter_kernel_size
    adapter_layer_norm adapter_reduction_factor adapter_reuse_layer_norm adapter_stride add_adapter
    add_cross_attention add_fpn afn apply_layernorm apply_spec_augment architectures asm asm_cutoffs
    asm_div_value aspp_dropout_prob aspp_out_channels atrous_rates attention_bias attention_drop_rate
    attention_dropout attention_head_size attention_probs_dropout_prob attention_ratio attention_type
    attention_types attention_window attn_dropout attn_logit_softcapping attn_pdrop attn_type auxiliary_channels
    auxiliary_concat_input auxiliary_loss_weight auxiliary_num_convs base_attn_unit_dims batch_norm_eps
    batch_norm_momentum begin_suppress_tokens bi_data block_configs block_repeats block_size block_sizes
    bos_index bos_token_id causal chunk_size_feed_forward clamp_len class_expand classifier_activation
    classifier_bias classifier_dropout classifier_dropout_prob classifier_pooling classifier_proj_size
    cls_dropout cls_token cls_token_id codevector_dim conformer_conv_dropout contrastive_logits_temperature
    conv_act conv_bias conv_depthwise_kernel_size conv_dim conv_groups conv_kernel conv_kernel_size
    conv_layer_kernel_sizes conv_layer_strides conv_pos_batch_norm conv_pos_kernel_size conv_stride
    ctc_loss_reduction ctc_zero_infinity d_ff d_head d_inner d_kv d_model decoder_attention_heads decoder_bias
    decoder_depth decoder_ffn_dim decoder_hidden_size decoder_layerdrop decoder_layers decoder_num_heads
    decoder_start_token_id default_language depth depth_coefficient depth_divisible_by depth_divisor
    depth_multiplier depths depthwise_padding deterministic_flash_attn dim diversity_loss_weight divisor
    do_layer_norm_before do_stable_layer_norm down_pad down_patch_size down_stride downsample_in_bottleneck
    downsample_in_first_stage downsamples downsampling_rate drop_connect_rate drop_conv_encoder_rate
    drop_mlp_rate drop_path_rate drop_rate dropout dropout_rate dtype emb_dim embd_pdrop embed_dim
    embed_dim_multiplier embed_dims embed_dropout embed_init_std embedding_dropout embedding_dynamic_padding
    embedding_size enable_bias encoder_attention_heads encoder_ffn_dim encoder_layerdrop encoder_layers
    encoder_stride end_n_top eos_index eos_token_id expand_ratio expand_ratios feat_extract_activation
    feat_extract_norm feat_proj_dropout feat_proj_layer_norm feat_quantizer_dropout feature_layer_norm_eps
    feature_projection_input_dim feed_forward_proj ff_activation ffn_dim ffn_dropout ffn_multiplier
    final_dropout final_logit_softcapping finegrained_output first_layer_is_expansion focal_levels focal_windows
    force_dequant forced_eos_token_id frequency_stride gelu_activation global_attn_every_n_layers global_padding
    global_rope_theta groups_width head_dim head_ratio hidden_act hidden_activation hidden_dim hidden_dropout
    hidden_dropout_prob hidden_size hidden_sizes id2label id2lang image_size in_channels init_std
    initializer_cutoff_factor initializer_factor initializer_range initializer_std inner_group_num
    input_embedding_size intermediate_groups intermediate_size intra_bottleneck_size inv_coeff_init_option
    is_causal is_decoder is_encoder is_encoder_decoder k_groups kernel_qkv kernel_size kernel_sizes key_dim
    key_query_shared_bottleneck label2id lang2id lang_id languages layer_norm_elementwise_affine layer_norm_eps
    layer_norm_epsilon layer_norm_init layer_scale_init_value layer_type layer_types layerdrop layerscale_value
    left_max_position_embeddings legacy linear_attention ln_before_adapter local_attention local_rope_theta
    local_transformer_stride logit_scale_init_value mask_feature_length mask_feature_min_masks mask_feature_prob
    mask_index mask_ratio mask_time_length mask_time_min_masks mask_time_prob mask_token_id
    masked_unit_attention masked_unit_size max_2d_position_embeddings max_bucket_distance max_length
    max_position_embeddings max_relative_positions max_source_positions max_target_positions max_window_layers
    median_filter_width mem_len min_depth mlp_bias mlp_dropout mlp_ratio mlp_ratios model_type n_attn_blocks
    n_embd n_head n_heads n_inner n_langs n_layer n_layers n_positions n_token n_words neck_hidden_sizes
    norm_bias norm_eps norm_rel_ebd normalization_type normalize_modulator normalize_pixel_loss
    num_adapter_layers num_attention_heads num_block_repeats num_buckets num_channels num_clusters
    num_codevector_groups num_codevectors_per_group num_conv_pos_embedding_groups num_conv_pos_embeddings
    num_ctc_classes num_decoder_layers num_encoder_blocks num_feedforward_networks num_groups num_hash_buckets
    num_hash_functions num_heads num_hidden_groups num_hidden_layers num_key_value_heads num_labels
    num_landmarks num_layers num_mel_bins num_negatives num_patches num_query_pool num_random_blocks
    num_register_tokens num_stages onnx_export out_channels out_features out_indices output_attentions
    output_embedding_size output_groups output_hidden_size output_hidden_states output_stride pad_index
    pad_token_id padding padding_kv padding_q partial_rotary_factor patch_padding patch_size patch_sizes
    patch_stride pool_q_only pool_scales pool_size pooler_act pooler_dropout pooler_hidden_act
    pooler_hidden_size pooler_output_size pooling_type pos_att_type position_biased_input position_buckets
    position_embeddings_type post_attention_groups pre_norm pretrained_window_sizes pretraining_tp problem_type
    proj_codevector_dim projection_dim projection_size q_groups qa_dropout qkv_bias qkv_projection_method
    quant_mode query_pre_attn_scalar query_stride reduction relative_attention relative_attention_max_distance
    relative_attention_num_buckets reorder_and_upcast_attn replace_prob rescale_embeddings reshape_hidden_states
    reshape_last_stage resid_dropout resid_pdrop return_dict reuse_len right_max_position_embeddings
    rms_norm_eps rope_local_base_freq rope_parameters rope_scaling rope_theta rotary_embedding_base rotary_value
    same_length scale scale_attn_by_inverse_layer_idx scale_attn_weights scale_embedding segment_means_seq_len
    segmentation_indices semantic_loss_ignore_index sep_token_id separate_cls seq_classif_dropout
    sequence_reduction_ratios share_att_key sinusoidal_embeddings sinusoidal_pos_embds sliding_window
    sparse_pred_ignore_index sparse_prediction squeeze_expansion_ratio squeeze_factor sr_ratios stage_downsample
    stage_downsample_strides stage_in_channels stage_kernel_size stage_light_block stage_mid_channels
    stage_num_blocks stage_numb_of_layers stage_out_channels start_n_top stem_act_func stem_channels
    stem_kernel_size stem_num_channels stem_out_channels stem_stride stem_strides stride stride_kv stride_q
    strides summary_activation summary_first_dropout summary_last_dropout summary_proj_to_labels summary_type
    summary_use_proj suppress_tokens talking_head task_type_vocab_size tdnn_dilation tdnn_dim tdnn_kernel
    text_config text_config_dict tf_padding tie_word_embeddings time_stride torch_dtype tpu_short_seq_length
    transformers_version trigram_input truncate_seq type_vocab_size unk_index upsampling_kernel_size
    use_absolute_embeddings use_absolute_position_embeddings use_auxiliary_head use_bias
    use_bidirectional_attention use_bottleneck use_bottleneck_attention use_cache use_conv_embed
    use_intermediate_ffn_before_adapter use_lang_emb use_layer_scale use_layerscale use_learnable_affine_block
    use_mask_token use_mean_pooling use_mems_eval use_mems_train use_post_layernorm
    use_post_layernorm_in_modulation use_relative_position_bias use_shared_relative_position_bias
    use_sliding_window use_swiglu_ffn use_task_id use_tpu_fourier_optimizations use_weighted_layer_sum v_groups
    vision_config vision_config_dict vision_use_head vocab_size width_coefficient width_factor width_multiplier
    window_size word_embed_proj_dim xvector_output_dim
"""
FIELDS = frozenset(_FIELDS.split())
# Fields that hold names, and those that hold a configuration of their own.
_MAPS = frozenset({"id2label", "label2id", "id2lang", "lang2id", "rope_parameters", "rope_scaling"})
_INNER = frozenset({"text_config", "text_config_dict", "vision_config", "vision_config_dict"})
_DTYPE = re.compile(r"(torch\.)?(float|bfloat)(16|32|64)")
# Fields that name kernels, other networks, other files or code, and the values with which they do not.
_ELSEWHERE: Mapping[str, frozenset[str]] = {
    "attn_implementation": frozenset({"eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3"}),
    "experts_implementation": frozenset({"eager", "batched_mm", "grouped_mm"}),
    "transformers_weights": frozenset({"model.safetensors", "pytorch_model.bin"}),
} | dict.fromkeys(
    (
        *("backbone", "backbone_config", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone"),
        *("checkpoint_path", "pretrained", "pretrained_cfg", "model_args"),
        *("fusion_config", "kernel_config", "use_kernels", "distributed_config", "quantization_config"),
    ),
    frozenset[str](),
)
# What a library keeps under such a name without reading it.
_UNREAD = frozenset({"architectures", "name_or_path", "transformers_version", "use_return_dict"})


def objection(name: str, config: Mapping[str, Any]) -> str | None:
    """What speaks against building the architecture ``name`` from ``config``, as the end of a sentence, or None."""
    if name not in ARCHITECTURES:
        return f"the architecture {name} is not among those that were read and only compute"
    return next(_in_fields(config), None)


def _in_fields(config: Mapping[str, Any]) -> Iterator[str]:
    for key, value in config.items():
        if not value:
            continue
        if key in _ELSEWHERE:
            if not (isinstance(value, str) and value in _ELSEWHERE[key]):
                yield f"the field {key} leads elsewhere: {_shown(value)}"
        elif key in ("dtype", "torch_dtype"):
            if not (isinstance(value, str) and _DTYPE.fullmatch(value)):
                yield f"expected a type of floats as {key}, found {_shown(value)}"
        elif key in _INNER and isinstance(value, dict):
            yield from _in_fields(value)
        elif key in FIELDS and not _is_plain(value, nested=key in _MAPS):
            yield f"expected numbers, texts or lists of them as {key}, found {_shown(value)}"


def unread(config: Mapping[str, Any], kind: type) -> str | None:
    """The first field of ``config`` that the configurations ``kind`` have and nobody read here, or None."""
    return next(
        (
            key
            for key, value in config.items()
            if value
            and hasattr(kind, key)
            and not key.startswith("_")
            and key not in FIELDS | _UNREAD | set(_ELSEWHERE)
        ),
        None,
    )


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config`` with the fields in `FIELDS` alone."""
    return {
        key: plain(value) if key in _INNER and isinstance(value, dict) else value
        for key, value in config.items()
        if key in FIELDS
    }


def _is_plain(value: object, *, nested: bool) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item, nested=nested) for item in value)
    if isinstance(value, dict):
        return nested and all(_is_plain(item, nested=nested) for item in value.values())
    return value is None or isinstance(value, bool | int | float | str)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
